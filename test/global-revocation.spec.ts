import { afterAll, afterEach, beforeAll, expect, it, jest } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { RevocationWriter } from '../src/sessions/revocation/revocation-writer.js';
import { machineOf } from './support/api-keys.js';
import { resetStores, startApp, type TestApp } from './support/app.js';
import { FaultProxy } from './support/fault-proxy.js';
import { OutsidePerson } from './support/outside-person.js';
import {
  callToRevoke,
  DOMAIN,
  outsideUser,
  revocationToken,
  startRevokingProviders,
  type RevokingProvider,
} from './support/outside-revocation.js';
import { describeWithRedis } from './support/redis.js';
import { createUser, expectBothTiers, loggedIn } from './support/test-users.js';

const LIVE = { status: 200 };
const ENDED = { status: 401, body: { code: 'auth.session_ended', reason: 'admin' } };
const NOT_FOUND = { status: 404, body: { code: 'resource.not_found' } };

/** Real: the providers (other processes), PostgreSQL, Redis, two instances of the application. */
describeWithRedis('a global token revocation', () => {
  let providers: Awaited<ReturnType<typeof startRevokingProviders>>;
  let acme: RevokingProvider;
  let a: TestApp;
  let b: TestApp;

  beforeAll(async () => {
    await resetStores();
    providers = await startRevokingProviders();
    ({ acme } = providers);
    [a, b] = [await startApp({ env: providers.env }), await startApp({ env: providers.env })];
  });
  afterEach(() => void jest.restoreAllMocks());
  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await providers.stop();
  });

  const subjectOf = (sub: string) => ({ format: 'iss_sub', iss: acme.issuer, sub });
  const byEmail = (email: string) => ({ format: 'email', email });
  const revoke = async (subject: unknown, app = a) =>
    callToRevoke(app, 'acme', await revocationToken(app, acme), subject);
  /** A session of the user of an address that did not begin with the provider. */
  const otherSession = (email: string) => loggedIn(a, { email });

  it.each([
    ['issuer and subject', ({ sub }: { sub: string }) => subjectOf(sub)],
    ['address', ({ email }: { email: string }) => byEmail(email)],
  ])(
    'by %s ends all sessions of the user on both tiers of every instance, and no API key [SES-04, TOK-21]',
    async (_, name) => {
      const { browser, email, sub } = await outsideUser(a, acme);
      const bystander = await outsideUser(a, acme);
      const native = await otherSession(email);
      const machine = await machineOf(b, native);
      for (const client of [browser, native]) await expectBothTiers(client.at(b), LIVE);

      const answer = await revoke(name({ email, sub }));
      expect(answer).toMatchObject({ status: 204, text: '' });

      // At once on the session tier, whichever instance has answered.
      for (const instance of [b, a])
        for (const client of [browser, native]) await expectBothTiers(client.at(instance), ENDED);
      expect(await native.refresh()).toMatchObject(ENDED);
      expect(await machine.get('/v1/probe/flags')).toMatchObject(LIVE);
      await expectBothTiers(bystander.browser, LIVE);
    },
  );

  it('is in the audit log with the provider, and the user can sign in again', async () => {
    const { email, sub } = await outsideUser(a, acme);
    await revoke(subjectOf(sub));
    const [event] = await a.query(
      `select type, actor_id, details from audit_events
       where user_id = (select id from users where email = $1) order by id desc limit 1`,
      [email],
    );
    expect(event).toMatchObject({
      type: 'sessions_ended_by_provider',
      actor_id: null,
      details: { by: 'acme', reason: 'admin', sessions: 1, tokenId: expect.any(String) },
    });
    await expectBothTiers(await otherSession(email), LIVE);
  });

  it('works once, on all instances [SES-16]', async () => {
    const { email, sub } = await outsideUser(a, acme);
    const token = await revocationToken(a, acme);
    expect(await callToRevoke(a, 'acme', token, subjectOf(sub))).toMatchObject({ status: 204 });
    const later = await otherSession(email);
    for (const app of [a, b])
      expect(await callToRevoke(app, 'acme', token, subjectOf(sub))).toMatchObject({
        status: 401,
        body: { code: 'auth.invalid_token' },
      });
    await expectBothTiers(later, LIVE);
  });

  it('works once also when copies of its token name different users at the same time [SES-16]', async () => {
    const users = [await outsideUser(a, acme), await outsideUser(a, acme), await outsideUser(a, acme)];
    const token = await revocationToken(a, acme);
    const answers = await Promise.all(
      [...users, ...users, ...users].map(({ sub }, index) =>
        callToRevoke(index % 2 ? a : b, 'acme', token, subjectOf(sub)),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([204, ...Array<number>(8).fill(401)]);
    const states = await Promise.all(users.map(({ browser }) => browser.get('/v1/users/me')));
    expect(states.map(({ status }) => status).sort()).toEqual([200, 200, 401]);
  });

  it('that has failed can be repeated with the same token', async () => {
    const { browser, sub } = await outsideUser(a, acme);
    const token = await revocationToken(a, acme);
    jest.spyOn(a.get(RevocationWriter), 'endSessions').mockRejectedValueOnce(new Error('PostgreSQL is gone'));
    expect((await callToRevoke(a, 'acme', token, subjectOf(sub))).status).toBeGreaterThanOrEqual(500);
    await expectBothTiers(browser, LIVE);
    expect(await callToRevoke(a, 'acme', token, subjectOf(sub))).toMatchObject({ status: 204 });
    await expectBothTiers(browser, ENDED);
  });

  it('is pending (202) while the instance cannot reach Redis, and PostgreSQL has it', async () => {
    const proxy = await FaultProxy.before(process.env['TEST_REDIS_URL']!);
    const cut = await startApp({ env: { ...providers.env, REDIS_URL: proxy.url } });
    try {
      const { email, sub } = await outsideUser(a, acme);
      const native = await otherSession(email);
      proxy.stall();
      expect(await revoke(subjectOf(sub), cut)).toMatchObject({ status: 202, text: '' });
      const [session] = await a.query('select status from sessions where id = $1', [native.id]);
      expect(session).toEqual({ status: 'ended' });
      await expectBothTiers(native, ENDED);
    } finally {
      await proxy.close();
      await cut.close();
    }
  });

  it('by address also finds the user who has linked an account with that address', async () => {
    const { email } = await createUser(a);
    const browser = await loggedIn(a, { email }, 'cookie');
    const address = `${randomUUID()}@work.example`;
    const begun = await browser.post('/v1/auth/identities', { provider: 'acme' });
    const person = new OutsidePerson(acme.issuer, `unverified:${address}`);
    const { pathname, search } = new URL(await person.authorize(begun.body.redirectTo));
    await browser.get(pathname + search);
    expect(await revoke(byEmail(address.toUpperCase()))).toMatchObject({ status: 204 });
    await expectBothTiers(browser, ENDED);
  });

  it('by an address of a domain that the operator has given to the provider needs no outside account', async () => {
    const withAddress = async (email: string) => {
      const { email: from } = await createUser(a);
      await a.query('update users set email = $2 where email = $1', [from, email]);
      return otherSession(email);
    };
    const employee = await withAddress(`${randomUUID()}@${DOMAIN}`);
    const outsiders = [
      await withAddress(`${randomUUID()}@sub.${DOMAIN}`),
      await withAddress(`${randomUUID()}@not-${DOMAIN}`),
    ];
    const token = await revocationToken(a, providers.other);
    expect(await callToRevoke(a, 'other', token, byEmail(employee.email))).toMatchObject(NOT_FOUND);
    await expectBothTiers(employee, LIVE);
    expect(await revoke(byEmail(employee.email))).toMatchObject({ status: 204 });
    await expectBothTiers(employee, ENDED);
    for (const outsider of outsiders) {
      expect(await revoke(byEmail(outsider.email))).toMatchObject(NOT_FOUND);
      await expectBothTiers(outsider, LIVE);
    }
  });

  it('by an address that two users of the provider have had ends both', async () => {
    const first = await outsideUser(a, acme);
    const second = await outsideUser(a, acme);
    await a.query('update identities set email = $2 where subject = $1', [second.sub, first.email]);
    expect(await revoke(byEmail(first.email))).toMatchObject({ status: 204 });
    for (const { browser } of [first, second]) await expectBothTiers(browser, ENDED);
  });
});
