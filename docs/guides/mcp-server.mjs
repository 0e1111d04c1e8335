/**
 * A small MCP server whose tools need a token of the application. It asks the application about each token (RFC 7662),
 * so a token is refused as soon as its grant has ended. Start it with
 *
 *   ISSUER=http://localhost:3000/oauth CLIENT_ID=tools CLIENT_SECRET=… PORT=4000 node docs/guides/mcp-server.mjs
 */
import { createMcpExpressApp } from '@modelcontextprotocol/sdk/server/express.js';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT } = process.env;
const RESOURCE = `http://localhost:${PORT}/mcp`;
const METADATA = `http://localhost:${PORT}/.well-known/oauth-protected-resource/mcp`;
const SCOPE = 'tools:use';

const { introspection_endpoint: introspection } = await (
  await fetch(`${ISSUER}/.well-known/openid-configuration`)
).json();

/** The rights of a token, as the application knows them now. */
async function verifyAccessToken(token) {
  const answer = await fetch(introspection, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${CLIENT_ID}:${CLIENT_SECRET}`).toString('base64')}` },
    body: new URLSearchParams({ token }),
  });
  if (!answer.ok) throw new Error(`the application answered ${answer.status}`);
  const { active, aud, scope, client_id, exp, sub } = await answer.json();
  if (!active || aud !== RESOURCE) throw new InvalidTokenError('this token is not valid here');
  return { token, clientId: client_id, scopes: scope.split(' '), expiresAt: exp, extra: { userId: sub } };
}

function serverFor({ extra: { userId } }) {
  const server = new McpServer({ name: 'tools', version: '1.0.0' });
  server.registerTool('whoami', { description: 'Says for whom the client acts' }, () => ({
    content: [{ type: 'text', text: userId }],
  }));
  return server;
}

const app = createMcpExpressApp();
app.get('/.well-known/oauth-protected-resource/mcp', (_request, response) =>
  response.json({ resource: RESOURCE, authorization_servers: [ISSUER], scopes_supported: [SCOPE] }),
);
app.post(
  '/mcp',
  requireBearerAuth({
    verifier: { verifyAccessToken },
    requiredScopes: [SCOPE],
    resourceMetadataUrl: METADATA,
  }),
  async (request, response) => {
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    await serverFor(request.auth).connect(transport);
    await transport.handleRequest(request, response, request.body);
  },
);
app.listen(Number(PORT), () => console.log(`the MCP server listens at ${RESOURCE}`));
