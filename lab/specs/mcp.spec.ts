import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { UnauthorizedError, type OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client as McpClient } from '@modelcontextprotocol/sdk/client/index.js';
import { InvalidGrantError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { ALICE, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { browserOf, decide } from '../../test/support/oauth.js';
import { freePort } from '../../test/support/outside-person.js';

const CALLBACK = 'http://localhost:33418/callback';

/**
 * Real: the official MCP client and the example server of the guide (another process), PostgreSQL, the cache, the
 * application, which listens. A person decides in a browser of the test.
 */
describe('an MCP client', () => {
  let app: TestApp;
  let home: string;
  let resource: string;
  let server: ChildProcess;

  beforeAll(async () => {
    await resetStores();
    const [port, serverPort] = [await freePort(), await freePort()];
    home = `http://localhost:${port}`;
    resource = `http://localhost:${serverPort}/mcp`;
    const clients = [
      {
        client_id: 'assistant',
        client_name: 'Assistant',
        redirect_uris: [CALLBACK],
        application_type: 'native',
      },
      {
        client_id: 'tools',
        client_name: 'Tools',
        client_secret: 'a-secret-of-the-mcp-server',
        redirect_uris: [`http://localhost:${serverPort}/none`],
      },
    ];
    app = await startApp({
      env: {
        APP_URL: home,
        OAUTH_PROVIDER: 'on',
        OAUTH_CLIENTS: JSON.stringify(clients),
        OAUTH_RESOURCES: JSON.stringify({
          [resource]: { name: 'Tools', scopes: { 'tools:use': 'Use your tools' } },
        }),
      },
    });
    await app.app.listen(port);
    server = spawn(process.execPath, ['docs/guides/mcp-server.mjs'], {
      env: {
        ...process.env,
        ISSUER: `${home}/oauth`,
        CLIENT_ID: 'tools',
        CLIENT_SECRET: 'a-secret-of-the-mcp-server',
        PORT: String(serverPort),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(server.stdout!, 'data');
  });
  afterAll(async () => {
    server.kill();
    await app.close();
  });

  /** The memory of an MCP client, and its way to open a browser. */
  class Assistant implements OAuthClientProvider {
    readonly redirectUrl = CALLBACK;
    readonly clientMetadata = { redirect_uris: [CALLBACK], client_name: 'Assistant' };
    authorizationUrl?: URL;
    private stored?: OAuthTokens;
    private verifier = '';

    clientInformation = () => ({ client_id: 'assistant' });
    tokens = () => this.stored;
    saveTokens = (tokens: OAuthTokens) => void (this.stored = tokens);
    redirectToAuthorization = (url: URL) => void (this.authorizationUrl = url);
    saveCodeVerifier = (verifier: string) => void (this.verifier = verifier);
    codeVerifier = () => this.verifier;
  }

  it('finds the provider, signs in with the consent of a person, and is refused once they have ended its access', async () => {
    const assistant = new Assistant();
    const transport = () => new StreamableHTTPClientTransport(new URL(resource), { authProvider: assistant });
    const client = () => new McpClient({ name: 'assistant', version: '1.0.0' });
    const first = transport();
    await expect(client().connect(first)).rejects.toThrow(UnauthorizedError);
    expect(assistant.authorizationUrl!.searchParams.get('resource')).toBe(resource);

    const browser = await browserOf(app);
    const path = (url: unknown) => String(url).replace(home, '');
    const opened = await browser.get(path(assistant.authorizationUrl));
    const page = path(opened.headers['location']);
    expect((await browser.get(`${page}/request`)).body).toMatchObject({
      app: { name: 'Assistant' },
      access: [{ service: 'Tools', scopes: [{ description: 'Use your tools' }] }],
    });
    const callback = await decide(browser, page, 'allow', home);
    await first.finishAuth(callback.searchParams.get('code')!);

    const connected = client();
    await connected.connect(transport());
    expect(await connected.callTool({ name: 'whoami' })).toMatchObject({
      content: [{ type: 'text', text: ALICE.id }],
    });

    const [{ id }] = (await browser.get('/v1/grants')).body.items;
    expect(await browser.delete(`/v1/grants/${id}`)).toMatchObject({ body: { status: 'applied' } });
    // The client has asked for another token first.
    await expect(connected.callTool({ name: 'whoami' })).rejects.toThrow(InvalidGrantError);
  });
});
