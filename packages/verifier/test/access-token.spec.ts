import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { newKey, tokenId } from './scripted-application.js';
import { settle } from './scripted-time.js';
import { startScene, type Scene } from './support.js';

const INVALID = 'auth.invalid_token';

/** Scripted: the application, the time. The forgeries are signed by the application's own key where they can be. */
describe('an access token at a verifier', () => {
  let scene: Scene;
  beforeEach(async () => {
    scene = await startScene({ claims: { plan: (value) => value === 'free' || value === 'team' } });
  });
  afterEach(() => scene.verifier.close());

  const seconds = () => Math.floor(scene.time.now() / 1_000);
  const plan = 'free';
  const asksForKeys = () => scene.application.requests.filter((path) => path.endsWith('jwks.json')).length;

  it('A token gives the caller with roles and declared claims', async () => {
    const [sub, jti] = [randomUUID(), tokenId()];
    const token = scene.application.token({ sub, jti, plan: 'team', roles: ['user', 'admin'] });
    const caller = await scene.verifier.check({ headers: { authorization: `Bearer ${token}` } });
    expect(caller).toMatchObject({
      userId: sub,
      tokenId: jti,
      roles: ['user', 'admin'],
      claims: { plan: 'team' },
      issuedAt: seconds() * 1_000,
      expiresAt: (seconds() + 900) * 1_000,
    });
  });

  it('A token without a declared claim is to be refreshed, as in the application', async () => {
    expect(await scene.outcome(scene.application.token())).toBe('auth.token_expired');
  });

  it('A token expires at its time, to the millisecond, also if it was verified before', async () => {
    const token = scene.application.token({ plan });
    await scene.beat(899);
    await scene.time.advance(999);
    expect(await scene.outcome(token)).toBe('accepted');
    await scene.time.advance(1);
    expect(await scene.outcome(token)).toBe('auth.token_expired');
  });

  it.each<[string, object, object?]>([
    ['of another issuer', { iss: 'https://evil.example' }],
    ['for another audience', { aud: 'others' }],
    ['with an audience in a list', { aud: ['services'] }],
    ['with a longer life', { exp: 4_000_000_000 }],
    ['that ends before it begins', { exp: 0 }],
    ['with an undeclared claim', { admin: true }],
    ['with a claim of every object', { constructor: 1 }],
    ['with another value of a declared claim', { plan: 'gold' }],
    ['without roles', { roles: undefined }],
    ['with roles in a text', { roles: 'admin' }],
    ['with a role that is none', { roles: ['Admin'] }],
    ['with a sub that is no UUID', { sub: 'x' }],
    ['with a sid in capital letters', { sid: randomUUID().toUpperCase() }],
    ['of a cookie session', { jti: tokenId({ isBearer: false }) }],
    ['of a client that has lost its device key', { jti: tokenId({ needsKey: true }) }],
    ['with a time in a text', { iat: '1' }],
    ['with a fraction of a second', { exp: 1.5 }],
    ['without signature', {}, { alg: 'none' }],
    ['with another algorithm', {}, { alg: 'HS256' }],
    ['of another type', {}, { typ: 'JWT' }],
    ['with its own key in the header', {}, { jwk: {} }],
    ['with crit', {}, { crit: ['x'] }],
    ['with a path as its kid', {}, { kid: '../first' }],
  ])('A token %s is not valid, whatever its signature', async (_what, claims, header: object = {}) => {
    expect(await scene.outcome(scene.application.token({ plan, ...claims }, header as never))).toBe(INVALID);
  });

  it('A token from more than 5 s in the future is not valid', async () => {
    const at = (iat: number) => scene.application.token({ plan, iat, exp: iat + 900 });
    expect(await scene.outcome(at(seconds() + 5))).toBe('accepted');
    expect(await scene.outcome(at(seconds() + 6))).toBe(INVALID);
  });

  it.each<[string, (token: string) => string]>([
    ['another last character', (token) => token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A')],
    ['padding', (token) => `${token}=`],
    ['a fourth part', (token) => `${token}.x`],
    ['a space', (token) => token.replace('.', ' .')],
    ['no signature', (token) => token.slice(0, token.lastIndexOf('.') + 1)],
    ['4,097 characters', (token) => token.padEnd(4_097, 'A')],
  ])('A token with %s is not valid, even after the right one was verified', async (_what, spoil) => {
    const token = scene.application.token({ plan });
    expect(await scene.outcome(token)).toBe('accepted');
    expect(await scene.outcome(spoil(token))).toBe(INVALID);
  });

  it('A token with a duplicate name in its claims is not valid', async () => {
    const [header, claims] = scene.application.token({ plan }).split('.') as [string, string];
    const json = Buffer.from(claims, 'base64url').toString().replace('{', '{"sub":"x",');
    const signed = scene.application.token({ plan });
    const forged = `${header}.${Buffer.from(json).toString('base64url')}.${signed.split('.')[2]}`;
    expect(await scene.outcome(forged)).toBe(INVALID);
  });

  it('A token of another key with the same kid is not valid', async () => {
    expect(await scene.outcome(scene.application.token({ plan }, {}, newKey('first')))).toBe(INVALID);
  });

  it('A token of a new key is accepted after one look at the key set', async () => {
    const { application, time } = scene;
    await scene.beat(11);
    const next = newKey('next');
    application.published.push(next);
    const before = asksForKeys();
    const tokens = Array.from({ length: 20 }, () => application.token({ plan }, {}, next));
    expect(new Set(await Promise.all(tokens.map((token) => scene.outcome(token))))).toEqual(
      new Set(['accepted']),
    );
    expect(asksForKeys() - before).toBe(1);
    await time.advance(0);
  });

  it('Invented keys cause one request in ten seconds, and are never called invalid without one', async () => {
    await scene.beat(11);
    const before = asksForKeys();
    const outcomes = [];
    for (let count = 0; count < 50; count += 1) {
      const invented = newKey(`invented-${count}`);
      outcomes.push(await scene.outcome(scene.application.token({ plan }, {}, invented)));
    }
    expect(asksForKeys() - before).toBe(1);
    expect(outcomes).toEqual([INVALID, ...Array.from({ length: 49 }, () => 'auth.unavailable')]);
  });

  it('A token of a key that is no longer published is to be refreshed within six minutes', async () => {
    const { application } = scene;
    const token = application.token({ plan });
    expect(await scene.outcome(token)).toBe('accepted');
    const next = newKey('next');
    application.published = [next];
    application.key = next;
    await scene.beat(350);
    expect(await scene.outcome(token)).toBe('auth.token_expired');
    expect(await scene.outcome(application.token({ plan }))).toBe('accepted');
  });

  it('The cache of verified tokens stays within its size', async () => {
    const small = await startScene({ cacheBytes: 20_000 });
    const { verified } = (
      small.verifier as unknown as { tokens: { verified: { weight: number; size: number } } }
    ).tokens;
    for (let count = 0; count < 100; count += 1)
      expect(await small.outcome(small.application.token())).toBe('accepted');
    expect(verified.weight).toBeLessThanOrEqual(20_000);
    expect(verified.size).toBeGreaterThan(5);
    small.verifier.close();
  });

  it('A token is read only from one Authorization header with the scheme Bearer', async () => {
    const token = scene.application.token({ plan });
    const check = async (request: Parameters<Scene['verifier']['check']>[0]) =>
      (async () => scene.verifier.check(request))().then(
        () => 'accepted',
        (error: { code: string }) => error.code,
      );
    expect(await check({ headers: {} })).toBe('auth.unauthenticated');
    expect(await check({ headers: { authorization: `Basic ${token}` } })).toBe('auth.unauthenticated');
    expect(await check({ headers: { cookie: `__Host-access=${token}` } })).toBe('auth.unauthenticated');
    expect(await check({ headers: { authorization: `bearer  ${token}` } })).toBe('accepted');
    const twice = ['Authorization', `Bearer ${token}`, 'authorization', 'Bearer x'];
    expect(await check({ headers: { authorization: `Bearer ${token}` }, rawHeaders: twice })).toBe(
      'auth.ambiguous_credentials',
    );
    await settle();
  });
});
