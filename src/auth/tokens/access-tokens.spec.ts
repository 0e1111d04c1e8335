import { beforeEach, describe, expect, it } from '@jest/globals';
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { StoppedClock } from '../../../test/support/clock.js';
import { random } from '../../platform/runtime/random.js';
import type { ClockCache } from '../../platform/performance/clock-cache.js';
import { KeyStore } from '../../platform/keys/key-store.js';
import type { Settings } from '../../platform/settings/settings.js';
import type { SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import { AccessTokens } from './access-tokens.js';
import { KeyRing } from './key-ring.js';

const DAY = 86_400_000;
const TTL = 900_000;
/** Order of P-256: `s` and `N - s` are both valid for the same message (SEC 1, 4.1.4). */
const N = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
const settings = {
  tokenIssuer: 'drawbridge',
  tokenAudience: 'drawbridge',
  accessTokenTtl: TTL,
  sessionIdleTimeout: 30 * DAY,
  sessionLifetime: 90 * DAY,
} as Settings;

function newKey(kid: string) {
  return { kid, privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey };
}

/** The signature of a token is verified once. Everything else is checked on each use. */
describe('The cache of verified access tokens', () => {
  const ours = newKey('ours');
  let clock: StoppedClock;
  let keys: KeyStore;
  let tokens: AccessTokens;
  let verified: ClockCache<unknown>;

  beforeEach(() => {
    clock = new StoppedClock();
    clock.advance(-(clock.now() % 1_000)); // token times are whole seconds
    keys = new KeyStore({ signing: [ours], refreshSecrets: [], encryption: [] });
    tokens = new AccessTokens(new KeyRing(keys), clock, settings);
    ({ verified } = tokens as unknown as { verified: typeof verified });
  });

  const mint = () => {
    const now = clock.now();
    const session = {
      id: random.uuidAt(now),
      userId: randomUUID(),
      roles: ['user'],
      transport: 'cookie',
      createdAt: now,
      lastSeenAt: now,
    };
    return { ...session, token: tokens.mint(session as unknown as SessionSnapshot, now).token };
  };
  const whatOf = (token: string) => {
    try {
      return tokens.verify(token, 'cookie').principal.sessionId;
    } catch (problem) {
      return (problem as { code: string }).code;
    }
  };

  it('The cache of verified tokens stays within its size limit, and an evicted token is verified again', () => {
    const first = mint();
    expect(whatOf(first.token)).toBe(first.id);
    const bytes = 16 * 1024 * 1024;
    // As many tokens as fit and a hundred more, for any length of the issuer name.
    const count = Math.ceil(bytes / verified.weight) + 100;
    for (let minted = 1; minted < count; minted += 1) tokens.verify(mint().token, 'cookie');
    expect(verified.weight).toBeLessThanOrEqual(bytes);
    expect(verified.size).toBeLessThan(count);
    expect(verified.get(endOf(first.token))).toBeUndefined();
    expect(whatOf(first.token)).toBe(first.id);
  });

  it('A forged token never enters the cache of verified tokens and never evicts a valid one', () => {
    const { token } = mint();
    tokens.verify(token, 'cookie');
    const [header, claims, signature] = token.split('.') as [string, string, string];
    const by = (key: typeof ours) =>
      sign('sha256', Buffer.from(`${header}.${claims}`), {
        key: key.privateKey,
        dsaEncoding: 'ieee-p1363',
      }).toString('base64url');
    const other = Buffer.from(JSON.stringify({ ...decode(claims), sub: randomUUID() })).toString('base64url');
    const forgeries = [
      `${header}.${claims}.${by(newKey('ours'))}`,
      `${header}.${other}.${signature}`,
      `${header}.${claims}.${Buffer.alloc(64).toString('base64url')}`,
      `${header}.${claims}.`,
      `${token}.`,
      `${token} `,
      `${token}=`,
      '',
    ];
    for (const forgery of forgeries)
      expect([forgery, whatOf(forgery)]).toEqual([forgery, 'auth.invalid_token']);
    expect(verified.size).toBe(1);
    expect(verified.get(endOf(token))).toMatchObject({ token });
  });

  it('A cached token expires at its time, to the millisecond, and leaves the cache', () => {
    const { token, id } = mint();
    expect(whatOf(token)).toBe(id);
    clock.advance(TTL - 1);
    expect(whatOf(token)).toBe(id);
    clock.advance(1);
    expect(whatOf(token)).toBe('auth.token_expired');
    expect(verified.size).toBe(0);
    expect(whatOf(token)).toBe('auth.token_expired');
    expect(verified.size).toBe(0);
  });

  it('A cached token is refused once its key has been removed, even if another key has the same kid', () => {
    const { token, id } = mint();
    expect(whatOf(token)).toBe(id);
    keys.replace({ signing: [newKey('ours')], refreshSecrets: [], encryption: [] });
    expect(whatOf(token)).toBe('auth.invalid_token');
    expect(verified.size).toBe(0);
    keys.replace({ signing: [newKey('next')], refreshSecrets: [], encryption: [], retiredKids: ['ours'] });
    expect(whatOf(token)).toBe('auth.token_expired');
  });

  it('Both spellings of a signature get the same result: denying the session or the token denies both', () => {
    const { token, id } = mint();
    const dot = token.lastIndexOf('.');
    const bytes = Buffer.from(token.slice(dot + 1), 'base64url');
    const s = N - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
    Buffer.from(s.toString(16).padStart(64, '0'), 'hex').copy(bytes, 32);
    const spelling = `${token.slice(0, dot)}.${bytes.toString('base64url')}`;
    expect(spelling).not.toBe(token);
    const [one, another] = [
      tokens.verify(token, 'cookie').principal,
      tokens.verify(spelling, 'cookie').principal,
    ];
    expect(one.sessionId).toBe(id);
    expect(another).toEqual(one);
    expect(verified.size).toBe(2);
  });
});

/** The cache key of a token. */
const endOf = (token: string) => token.slice(-43);

function decode(part: string): object {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as object;
}
