import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import type { Answer } from '../../test/support/client.js';
import { Mailbox } from '../../test/support/mailbox.js';
import { loggedIn } from '../../test/support/test-users.js';
import { PRODUCT } from '../../src/product.js';

const STRONG = 'nine owls under a bridge';
const OTHER_STRONG = 'the kettle sings at noon';

let count = 0;
const newEmail = () => `someone.new${(count += 1)}@example.com`;

/** The three ways in which a user chooses a password. Each uses an account of its own. */
const WAYS: [string, string, (app: TestApp, password: string) => Promise<Answer>][] = [
  [
    'registration',
    'password',
    (app, password) => app.client().post('/v1/auth/register', { email: newEmail(), password }),
  ],
  [
    'a change',
    'newPassword',
    async (app, newPassword) => {
      const person = await loggedIn(app, { email: await registered(app) });
      return person.post('/v1/auth/password/change', { currentPassword: PASSWORD, newPassword });
    },
  ],
  [
    'a reset',
    'newPassword',
    async (app, newPassword) => {
      const email = await registered(app);
      await app.client().post('/v1/auth/password/forgot', { email });
      const token = await new Mailbox(app).tokenFor(email);
      return app.client().post('/v1/auth/password/reset', { token, newPassword });
    },
  ],
];

async function registered(app: TestApp): Promise<string> {
  const email = newEmail();
  await app.query(
    `insert into users (id, email, display_name, password_hash, created_at)
     select gen_random_uuid(), $1, 'Mona Vandermeer', password_hash, now() from users where id = $2`,
    [email, ALICE.id],
  );
  return email;
}

/** Real: PostgreSQL, the cache, the hasher. */
describe.each(WAYS)('a password chosen at %s', (way, path, choose) => {
  let app: TestApp;

  beforeAll(async () => {
    await resetStores();
    app = await startApp();
  });
  afterAll(() => app.close());

  const refused = (message: unknown) => ({
    status: 400,
    body: { code: 'request.invalid', errors: [{ path, message }] },
  });

  it.each([
    ['14 characters', 'owls in a tree', /at least 15/],
    ['a repeated short password', 'passwordpassword', /repeats itself/],
    ['the digits', '123456789012345', /easily guessed/],
    ['the keyboard', 'qwertyuiopasdfghjkl', /easily guessed/],
    ['the product', `${PRODUCT.slug}password2026`, /name of this product/],
    ['257 characters', 'x'.repeat(257), /at most 256/],
    ['one character that NFKC makes 18', '\ufdfa', /at least 15/],
    ['14 characters that NFKC makes 42', 'ﬃ㎜㏒℡㏂㏇㎮㎯㎧㎨㏙㏄㏁㎳', /at least 15/],
    ['14 letters that NFD makes 28', 'äöüéèêàáâñçíóú'.normalize('NFD'), /at least 15/],
    ['14 characters and some invisible ones', 'owls in a tree\u200b\u200d\u2060\ufe0f\u00ad', /at least 15/],
    ['15 invisible characters', '\u200b\u200c\u2060'.repeat(5), /at least 15/],
    ['15 characters that NFKC makes 270', '\ufdfa'.repeat(15), /at most 256/],
    ['half of a surrogate pair', 'nine owls under a \ud83e', /well-formed/],
  ])('is refused when it is %s [PWD-01, PWD-02, PWD-04, PWD-09]', async (_what, password, why) => {
    const answer = await choose(app, password);
    expect(answer).toMatchObject(refused(expect.stringMatching(why)));
    expect(answer.text).not.toContain(password);
  });

  it('is refused when it is the address or the name of its user [PWD-04]', async () => {
    if (way === 'registration') {
      const email = 'mona.vandermeer@example.com';
      for (const password of [email, 'mona.vandermeer2026', 'Vandermeer, Mona 1984']) {
        const body = { email, password, displayName: 'Mona Vandermeer' };
        expect(await app.client().post('/v1/auth/register', body)).toMatchObject(
          refused(expect.stringMatching(/your name, your address/)),
        );
      }
    } else {
      expect(await choose(app, 'Vandermeer, Mona 1984')).toMatchObject(
        refused(expect.stringMatching(/your name, your address/)),
      );
    }
  });

  it.each([
    'thecatsatonthemat',
    '🦊🐻🐼🦁🐯🐨🐸🐵🐔🐧🦆🦉🐺🐗🐴',
    'die Brücke am Abend',
    'Ω≈ç√∫˜µ≤≥÷åßƒ©˙',
    'ﬃ㎜㏒℡㏂㏇㎮㎯㎧㎨㏙㏄㏁㎳㏃',
  ])('is accepted in any script: %s [PWD-01, PWD-03]', async (password) => {
    expect((await choose(app, password)).status).toBeLessThan(300);
  });
});

/** Real: PostgreSQL, the cache, HTTP to the service. Simulated: the service. */
describe('a password that is known from a breach', () => {
  const asked: { url: string; headers: IncomingMessage['headers'] }[] = [];
  const digest = (password: string) => createHash('sha1').update(password).digest('hex').toUpperCase();
  const breached = new Set<string>();
  const answerRange = (request: IncomingMessage, response: ServerResponse) => {
    asked.push({ url: request.url!, headers: request.headers });
    const lines = [...breached].map((password) => `${digest(password).slice(5)}:17`);
    const padding = `${digest(OTHER_STRONG).slice(5)}:0`;
    response.end(['0'.repeat(35) + ':3', ...lines, padding].join('\r\n'));
  };
  let answer: typeof answerRange;
  let service: Server;
  let app: TestApp;
  let strict: TestApp;

  beforeAll(async () => {
    await resetStores();
    service = createServer((request, response) => answer(request, response)).listen(0, '127.0.0.1');
    await once(service, 'listening');
    const { port } = service.address() as AddressInfo;
    const env = {
      BREACHED_PASSWORDS_URL: `http://127.0.0.1:${port}/range/`,
      BREACHED_PASSWORDS_PATIENCE: '500ms',
    };
    app = await startApp({ env });
    strict = await startApp({ env: { ...env, BREACHED_PASSWORDS_WHEN_DOWN: 'refuse' } });
  });
  beforeEach(() => {
    answer = answerRange;
    asked.length = 0;
    breached.clear();
  });
  afterAll(async () => {
    service.closeAllConnections();
    service.close();
    await Promise.all([app.close(), strict.close()]);
  });

  it.each(WAYS)(
    'is refused at %s, and only five digits of its digest are sent [PWD-05]',
    async (_way, path, choose) => {
      breached.add(STRONG);
      expect(await choose(app, STRONG)).toMatchObject({
        status: 400,
        body: { errors: [{ path, message: expect.stringMatching(/breach/) }] },
      });
      expect(asked).toEqual([
        {
          url: `/range/${digest(STRONG).slice(0, 5)}`,
          headers: expect.objectContaining({ 'add-padding': 'true' }),
        },
      ]);
      expect(JSON.stringify(asked)).not.toContain(digest(STRONG).slice(5));
      expect(JSON.stringify(asked).toUpperCase()).not.toContain(digest(STRONG).slice(0, 6));
    },
  );

  it.each(WAYS)('is not matched by padding entries, at %s', async (_way, _path, choose) => {
    expect((await choose(app, OTHER_STRONG)).status).toBeLessThan(300);
    expect(asked).toHaveLength(1);
  });

  it('is looked up in the spelling that is hashed', async () => {
    breached.add('caf\u00e9 on the corner square');
    const password = 'cafe\u0301 on the corner square';
    expect((await app.client().post('/v1/auth/register', { email: newEmail(), password })).status).toBe(400);
  });

  it('is not looked up when it is refused anyway, nor at a login', async () => {
    await app.client().post('/v1/auth/register', { email: newEmail(), password: 'passwordpassword' });
    await app.client().login(ALICE.email, PASSWORD);
    expect(asked).toEqual([]);
  });

  it.each<[string, typeof answerRange]>([
    ['is silent', () => undefined],
    ['breaks off', (_, response) => void response.destroy()],
    ['fails', (_, response) => void response.writeHead(500).end()],
    ['redirects', (_, response) => void response.writeHead(302, { location: '/range/x' }).end()],
    ['never ends', (_, response) => void response.write('0'.repeat(600_000))],
    ['trickles', (_, response) => void response.write('0')],
  ])('is not detected while the service %s: then the setting decides [PWD-05]', async (_what, broken) => {
    answer = broken;
    const body = () => ({ email: newEmail(), password: STRONG });
    expect((await app.client().post('/v1/auth/register', body())).status).toBe(202);
    const refusal = await strict.client().post('/v1/auth/register', body());
    expect(refusal).toMatchObject({ status: 503, body: { code: 'auth.unavailable' } });
    expect(refusal.headers['retry-after']).toBeDefined();
  });
});
