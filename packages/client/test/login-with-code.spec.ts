import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ALICE, BOB, PASSWORD, resetStores } from '../../../test/support/app.js';
import { AuthenticatorApp } from '../../../test/support/second-factor.js';
import { loggedIn, startServer, Tab, TRANSPORTS, type TestServer } from './support.js';

/** Real: the server, its stores, the sockets between. Simulated: the phone. */
describe.each(TRANSPORTS)('a user with a second factor (%s)', (transport) => {
  let server: TestServer;
  let phone: AuthenticatorApp;
  const person = { cookie: ALICE, bearer: BOB }[transport];

  beforeAll(async () => {
    await resetStores();
    server = await startServer();
    const { client } = await loggedIn(server, { transport }, person);
    const post = async (path: string, body?: object) => {
      const init = { headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) };
      return (await client.fetch(`/v1/auth/mfa/${path}`, { method: 'POST', ...(body && init) })).json();
    };
    const { secret } = (await post('totp')) as { secret: string };
    phone = new AuthenticatorApp(secret, server.clock);
    expect(await post('totp/confirm', { code: phone.code() })).toMatchObject({
      recoveryCodes: expect.any(Array),
    });
  });
  afterAll(() => server.close());

  async function asked(tab: Tab): Promise<string> {
    const login = await tab.client.login({ email: person.email, password: PASSWORD });
    if (!('challengeToken' in login)) throw new Error('the login needed no second factor');
    expect(login).toMatchObject({ status: 'mfa_required', methods: ['totp', 'recovery_code'] });
    return login.challengeToken;
  }

  it('is asked for a code, may mistype it, and is then logged in', async () => {
    const tab = new Tab(server, { transport });
    const challengeToken = await asked(tab);
    expect(await tab.status('/v1/sessions/current')).toBe(401);
    const wrong = tab.client.completeLogin({ challengeToken, code: phone.code(9) });
    await expect(wrong).rejects.toMatchObject({ name: 'ApiProblem', code: 'auth.invalid_credentials' });
    const { user } = await tab.client.completeLogin({ challengeToken, code: phone.nextCode() });
    expect(user.email).toBe(person.email);
    await tab.expectAlive();
    server.clock.advance(16 * 60_000);
    await tab.expectAlive();
  });

  it('reauthenticates with a code', async () => {
    const tab = new Tab(server, { transport });
    await tab.client.completeLogin({ challengeToken: await asked(tab), code: phone.nextCode() });
    await tab.client.reauthenticate({ code: phone.nextCode() });
    await tab.expectAlive();
  });
});
