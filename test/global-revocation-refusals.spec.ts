import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createPublicKey, createSecretKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { machineOf } from './support/api-keys.js';
import { resetClock, resetStores, startApp, type TestApp } from './support/app.js';
import type { Client } from './support/client.js';
import { COOKIES } from './support/cookies.js';
import { encode, read } from './support/forge.js';
import {
  callToRevoke,
  HOME,
  newKey,
  outsideUser,
  pathOfRevocation,
  revocationToken,
  startRevokingProviders,
  type RevokingProvider,
  type TokenChanges,
} from './support/outside-revocation.js';
import { createUser, loggedIn } from './support/test-users.js';

const INVALID = { status: 401, body: { code: 'auth.invalid_token' } };
const NOT_FOUND = { status: 404, body: { code: 'resource.not_found' } };
const STRANGER = newKey();

/** Real: the providers (other processes), PostgreSQL, the cache, the application. */
describe('a call for a global token revocation', () => {
  let providers: Awaited<ReturnType<typeof startRevokingProviders>>;
  let acme: RevokingProvider;
  let other: RevokingProvider;
  let app: TestApp;
  let victim: { browser: Client; email: string; sub: string };

  beforeAll(async () => {
    await resetStores();
    providers = await startRevokingProviders();
    ({ acme, other } = providers);
    app = await startApp({ env: providers.env });
  });
  afterAll(async () => {
    await app.close();
    await providers.stop();
  });
  beforeEach(async () => void (victim = await outsideUser(app, acme)));

  const subjectOf = (sub: string, iss = acme.issuer) => ({ format: 'iss_sub', iss, sub });
  const isAlive = async ({ browser } = victim) =>
    expect(await browser.get('/v1/users/me')).toMatchObject({ status: 200 });
  const usedTokens = () => app.query('select digest from used_revocation_tokens order by digest');
  const send = (token: string, subject: unknown = subjectOf(victim.sub), provider = 'acme') =>
    callToRevoke(app, provider, token, subject);
  const tokenWith = (changes: TokenChanges = {}, provider = acme) => revocationToken(app, provider, changes);

  it.each<[string, () => TokenChanges]>([
    ['is signed by another key', () => ({ key: STRANGER })],
    ['is signed by a key that is not published', () => ({ key: STRANGER, header: { kid: 'unknown' } })],
    [
      'is signed with the public key as a secret (HS256)',
      () => ({
        header: { alg: 'HS256' },
        key: createSecretKey(
          Buffer.from(createPublicKey(acme.key).export({ type: 'spki', format: 'pem' }) as string),
        ),
      }),
    ],
    [
      'is signed by a key of its own header',
      () => {
        const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const header = { alg: 'ES256', kid: undefined, jwk: publicKey.export({ format: 'jwk' }) };
        return { key: privateKey, header };
      },
    ],
    ['has no type', () => ({ header: { typ: undefined } })],
    ['has the type JWT', () => ({ header: { typ: 'JWT' } })],
    ['is a logout token by its type', () => ({ header: { typ: 'logout+jwt' } })],
    ['is for the client, as an ID token is', () => ({ claims: { aud: 'the-app' } })],
    ['is for another provider', () => ({ claims: { aud: HOME + pathOfRevocation('other') } })],
    [
      'is also for another receiver',
      () => ({ claims: { aud: [HOME + pathOfRevocation('acme'), 'https://receiver.example'] } }),
    ],
    ['has no audience', () => ({ claims: { aud: undefined } })],
    ['names another issuer', () => ({ claims: { iss: other.issuer } })],
    ['has no issuer', () => ({ claims: { iss: undefined } })],
    ['is about another client', () => ({ claims: { sub: 'another-app' } })],
    ['has no subject', () => ({ claims: { sub: undefined } })],
    ['has expired', () => ({ times: { iat: -290, exp: -61 } })],
    ['was issued too long ago, although it has not expired', () => ({ times: { iat: -361, exp: 60 } })],
    ['was issued in the future', () => ({ times: { iat: 62 } })],
    ['is not valid yet', () => ({ times: { nbf: 62 } })],
    ['lives for longer than ten minutes', () => ({ times: { exp: 601 } })],
    ['has no expiry', () => ({ claims: { exp: undefined } })],
    ['has no time of issue', () => ({ claims: { iat: undefined } })],
    ['has no id', () => ({ claims: { jti: undefined } })],
    ['has an empty id', () => ({ claims: { jti: '' } })],
    ['has an id that is no text', () => ({ claims: { jti: 7 } })],
    ['has an id with a NUL', () => ({ claims: { jti: 'x\0' } })],
    ['has an id of 256 characters', () => ({ claims: { jti: 'x'.repeat(256) } })],
  ])('is refused if its token %s [SES-16]', async (_, changes) => {
    const before = await usedTokens();
    expect(await send(await tokenWith(changes()))).toMatchObject(INVALID);
    await isAlive();
    expect(await usedTokens()).toEqual(before);
  });

  it('is refused if its token is not signed, or is none [SES-16]', async () => {
    const [header, claims, signature] = (await tokenWith()).split('.');
    const { header: content } = read(`${header}.${claims}.`);
    const changed = encode({ ...read(`${header}.${claims}.`).claims, jti: randomUUID() });
    for (const token of [
      `${encode({ ...content, alg: 'none' })}.${claims}.`,
      `${header}.${claims}.`,
      `${header}.${changed}.${signature}`,
      'x.y.z',
      'x',
    ])
      expect({ token, ...(await send(token)) }).toMatchObject({ token, ...INVALID });
    await isAlive();
  });

  it.each<[string, () => TokenChanges]>([
    ['that names the issuer as its subject', () => ({ claims: { sub: acme.issuer } })],
    ['of almost ten minutes', () => ({ times: { exp: 600 } })],
    ['from a clock that is a minute ahead', () => ({ times: { iat: 55, nbf: 55, exp: 355 } })],
    ['from a clock that is a minute behind', () => ({ times: { iat: -355, exp: -55 } })],
    ['whose audience is a list of one', () => ({ claims: { aud: [HOME + pathOfRevocation('acme')] } })],
  ])('with a token %s is accepted', async (_, changes) => {
    expect(await send(await tokenWith(changes()))).toMatchObject({ status: 204 });
    expect(await victim.browser.get('/v1/users/me')).toMatchObject({ status: 401 });
  });

  it('is refused at the address of one provider with the token of another [SES-16]', async () => {
    const claims = { aud: HOME + pathOfRevocation('acme') };
    expect(await send(await tokenWith({ claims }, other))).toMatchObject(INVALID);
    expect(await send(await tokenWith({ claims: { ...claims, iss: acme.issuer } }, other))).toMatchObject(
      INVALID,
    );
    await isAlive();
  });

  it('is refused without a bearer token, whatever else the caller has [SES-16]', async () => {
    const unauthenticated = { status: 401, body: { code: 'auth.unauthenticated' } };
    const body = { sub_id: subjectOf(victim.sub) };
    const machine = await machineOf(app, await loggedIn(app, await createUser(app)));
    const inCookie = app.client();
    inCookie.jar.set(COOKIES.access, await tokenWith());
    for (const client of [app.client(), machine, victim.browser, inCookie])
      expect(await client.post(pathOfRevocation('acme'), body)).toMatchObject(unauthenticated);
    await isAlive();
  });

  it('is refused with an access token of the application', async () => {
    const { accessToken } = await loggedIn(app, await createUser(app));
    expect(await send(accessToken!)).toMatchObject(INVALID);
  });

  it('is 404 for a provider that is not configured, or has not got the right to call [SES-16]', async () => {
    const claims = { aud: HOME + pathOfRevocation('silent') };
    const answer = await send(await tokenWith({ claims }), subjectOf(victim.sub), 'silent');
    expect(answer).toMatchObject(NOT_FOUND);
    for (const name of ['unknown', 'constructor'])
      expect(await send(await tokenWith(), subjectOf(victim.sub), name)).toMatchObject(NOT_FOUND);
    await isAlive();
  });

  it.each<[string, (owner: typeof victim) => unknown]>([
    ['no subject', () => null],
    ['a text', ({ email }) => email],
    ['a list', ({ sub }) => [subjectOf(sub)]],
    ['no format', ({ email }) => ({ email })],
    ['a format of RFC 9493 that is not supported', ({ sub }) => ({ format: 'opaque', id: sub })],
    ['several subjects', ({ email }) => ({ format: 'aliases', identifiers: [{ format: 'email', email }] })],
    ['an address that is none', () => ({ format: 'email', email: 'x' })],
    ['two formats in one', ({ email, sub }) => ({ ...subjectOf(sub), email })],
    ['a subject without an issuer', ({ sub }) => ({ format: 'iss_sub', sub })],
    ['an empty subject', () => subjectOf('')],
    ['a NUL in the subject', ({ sub }) => subjectOf(`${sub}\0`)],
  ])('is invalid with %s, and its token can be used again', async (_, subject) => {
    const token = await tokenWith();
    expect(await send(token, subject(victim))).toMatchObject({
      status: 400,
      body: { code: 'request.invalid' },
    });
    await isAlive();
    expect(await send(token)).toMatchObject({ status: 204 });
  });

  it('ends no user of another provider, and no user without an outside account, and says that there is no such user [SES-16]', async () => {
    const foreign = await outsideUser(app, other);
    const local = await loggedIn(app, await createUser(app));
    for (const subject of [
      subjectOf(randomUUID()),
      subjectOf(foreign.sub),
      subjectOf(foreign.sub, other.issuer),
      subjectOf(victim.sub, other.issuer),
      subjectOf(local.userId),
      { format: 'email', email: foreign.email },
      { format: 'email', email: local.email },
      { format: 'email', email: `${randomUUID()}@nowhere.example` },
    ])
      expect({ subject, ...(await send(await tokenWith(), subject)) }).toMatchObject({
        subject,
        ...NOT_FOUND,
      });
    for (const user of [foreign, victim]) await isAlive(user);
    expect(await local.get('/v1/users/me')).toMatchObject({ status: 200 });
  });

  it('for an unknown user uses its token up, and is in the audit log without the name of the user', async () => {
    const token = await tokenWith();
    const unknown = `${randomUUID()}@nowhere.example`;
    expect(await send(token, { format: 'email', email: unknown })).toMatchObject(NOT_FOUND);
    expect(await send(token)).toMatchObject(INVALID);
    await isAlive();
    const [event] = await app.query('select * from audit_events order by id desc limit 1');
    expect(event).toMatchObject({
      type: 'revocation_subject_unknown',
      details: { by: 'acme', format: 'email', tokenId: read(token).claims['jti'] },
    });
    expect(JSON.stringify(event)).not.toContain(unknown);
  });

  it('leaves no record of its token once the token has expired', async () => {
    expect(await send(await tokenWith())).toMatchObject({ status: 204 });
    expect((await usedTokens()).length).toBeGreaterThan(0);
    app.clock.advance(661_000);
    expect(await send(await tokenWith(), subjectOf(randomUUID()))).toMatchObject(NOT_FOUND);
    expect(await usedTokens()).toHaveLength(1);
    await resetClock(app);
  });

  it.each(['acme', '*.acme.example', '@acme.example', 'a.example b.example', ''])(
    'needs a domain that is one: the instance does not start with %j',
    async (domain) => {
      const globalTokenRevocation = { emailDomains: [domain] };
      const acmeWith = { issuer: acme.issuer, clientId: 'x', globalTokenRevocation };
      const env = { SOCIAL_PROVIDERS: JSON.stringify({ acme: acmeWith }) };
      await expect(startApp({ env })).rejects.toMatchObject({
        lines: [expect.stringContaining('SOCIAL_PROVIDERS')],
      });
    },
  );

  it('is counted before anything else: after 3,000 of one address the next is refused (429)', async () => {
    const limited = await startApp({
      env: { ...providers.env, RATE_LIMITS: 'on', TRUSTED_PROXIES: '127.0.0.1' },
    });
    try {
      const client = limited.client();
      const network = randomUUID().slice(0, 4);
      client.headers = { 'x-forwarded-for': `2001:db8:${network}::1` };
      const body = { sub_id: subjectOf('x') };
      const call = () => client.post(pathOfRevocation('unknown'), body);
      const statuses = new Set<number>();
      // Small batches: Redis must answer each within the budget, or the instance counts some of them alone.
      for (let batch = 0; batch < 150; batch++) {
        const answers = await Promise.all(Array.from({ length: 20 }, call));
        for (const { status } of answers) statuses.add(status);
      }
      expect([...statuses]).toEqual([404]);
      expect(await call()).toMatchObject({ status: 429, body: { code: 'request.rate_limited' } });
    } finally {
      await limited.close();
    }
  });

  it('is 503, not a refusal, while the provider or its keys do not answer', async () => {
    const unavailable = { status: 503, body: { code: 'auth.unavailable' } };
    expect(await send(await tokenWith(), subjectOf('x'), 'dead')).toMatchObject(unavailable);
    const ill = createServer(({ url }, response) => {
      const metadata = { issuer, jwks_uri: `${issuer}/keys` };
      if (url === '/.well-known/openid-configuration')
        response.setHeader('content-type', 'application/json').end(JSON.stringify(metadata));
      else response.writeHead(500).end();
    }).listen(0, '127.0.0.1');
    await once(ill, 'listening');
    const issuer = `http://127.0.0.1:${(ill.address() as AddressInfo).port}`;
    const SOCIAL_PROVIDERS = JSON.stringify({ ill: { issuer, clientId: 'x', globalTokenRevocation: {} } });
    const instance = await startApp({ env: { SOCIAL_PROVIDERS } });
    try {
      expect(await callToRevoke(instance, 'ill', await tokenWith(), subjectOf('x'))).toMatchObject(
        unavailable,
      );
    } finally {
      await instance.close();
      ill.close();
    }
  });
});
