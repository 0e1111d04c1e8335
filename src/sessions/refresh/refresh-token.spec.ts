import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createHmac, hkdfSync } from 'node:crypto';
import { mintRefreshToken, parseRefreshToken, verifyRefreshToken } from './refresh-token.js';
import { PRODUCT } from '../../product.js';

const secret = Buffer.alloc(32, 'secret');
const retiredSecret = Buffer.alloc(32, 'retired');
const nonce = Buffer.alloc(16, 'nonce');
const sessionId = '019a9f3c-5b7a-7c1d-8e2f-0123456789ab';
const claims = { sessionId, generation: 7, sibling: 2 };
const token = mintRefreshToken({ secret, nonce, ...claims });

const anyClaims = fc.record({
  sessionId: fc.uuid(),
  generation: fc.nat({ max: 0xffff_ffff }),
  sibling: fc.nat({ max: 0xffff }),
});
const key = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((raw) => Buffer.from(raw));

/** Whether a text is parsed and verified. */
function accepts(text: string, secrets = [secret], sessionNonce = nonce): boolean {
  const parsed = parseRefreshToken(text);
  return parsed !== null && verifyRefreshToken(parsed, { secrets, nonce: sessionNonce });
}

describe('a refresh token', () => {
  test('a refresh token contains its claims, and is verified with its own secret and nonce', () => {
    fc.assert(
      fc.property(anyClaims, key(32), key(16), (claims, secret, nonce) => {
        const parsed = parseRefreshToken(mintRefreshToken({ secret, nonce, ...claims }));
        expect(parsed).toMatchObject(claims);
        expect(verifyRefreshToken(parsed!, { secrets: [secret], nonce })).toBe(true);
      }),
    );
  });

  test('a refresh token for the same claims is the same text, so a repeated response needs no store', () => {
    expect(mintRefreshToken({ secret, nonce, ...claims })).toBe(token);
  });

  // If this fails, the change logs out every client. Increase the version and accept both versions.
  test('a refresh token keeps its format across releases', () => {
    const header = Buffer.from('01019a9f3c5b7a7c1d8e2f0123456789ab000000070002', 'hex');
    const derived = hkdfSync('sha256', secret, nonce, `${PRODUCT.slug} refresh token v1`, 32);
    const mac = createHmac('sha256', Buffer.from(derived)).update(header).digest();
    expect(token).toBe(Buffer.concat([header, mac]).toString('base64url'));
  });

  test('a refresh token is authenticated with a key of its session, derived by HKDF (RFC 5869)', () => {
    fc.assert(
      fc.property(key(32), key(16), (secret, nonce) => {
        const derived = hkdfSync('sha256', secret, nonce, PRODUCT.keyPurpose.refreshToken, 32);
        const bytes = Buffer.from(mintRefreshToken({ secret, nonce, ...claims }), 'base64url');
        const mac = createHmac('sha256', Buffer.from(derived)).update(bytes.subarray(0, -32)).digest();
        expect(bytes.subarray(-32)).toEqual(mac);
      }),
    );
  });

  test('a refresh token fits into a cookie and a header without encoding', () => {
    expect(token).toMatch(/^[\w-]{74}$/);
  });

  test('ten thousand refresh tokens have nothing in common but their format, so none can be guessed [REF-01, SES-02]', () => {
    const samples = Array.from({ length: 10_000 }, (_, generation) =>
      mintRefreshToken({ secret, nonce, sessionId, generation, sibling: 1 }),
    );
    expect(new Set(samples.map((sample) => sample.slice(-43))).size).toBe(10_000);
    const macs = samples.map((sample) => parseRefreshToken(sample)!.mac);
    for (let bit = 0; bit < 256; bit += 1) {
      const ones = macs.filter((mac) => (mac[bit >> 3]! >> (bit & 7)) & 1).length;
      // Six standard deviations of a fair coin. The samples are the same each time, so the test is not flaky.
      expect(Math.abs(ones - 5_000)).toBeLessThan(300);
    }
    for (const sample of samples) expect(sample).not.toMatch(/\.|^[0-9a-f-]{36}$/);
  });

  test.each([
    ['a generation', { generation: 0x1_0000_0000 }],
    ['a negative generation', { generation: -1 }],
    ['a sibling', { sibling: 0x1_0000 }],
    ['an id', { sessionId: 'not-a-uuid' }],
  ])('a refresh token is not minted for %s that does not fit the encoding', (_, misfit) => {
    expect(() => mintRefreshToken({ secret, nonce, ...claims, ...misfit })).toThrow(/out of range|is a UUID/);
  });
});

describe('a forged refresh token', () => {
  test('a refresh token with one changed bit is refused, for every bit [REF-01]', () => {
    const bytes = Buffer.from(token, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const forged = Buffer.from(bytes);
      forged[bit >> 3]! ^= 1 << (bit & 7);
      expect(accepts(forged.toString('base64url'))).toBe(false);
    }
  });

  test('a refresh token cannot be moved to another rotation position or to another session', () => {
    const { mac } = parseRefreshToken(token)!;
    const elsewhere = [{ generation: 8 }, { sibling: 3 }, { sessionId: sessionId.replace('019a', '019b') }];
    for (const change of elsewhere) {
      expect(verifyRefreshToken({ ...claims, ...change, mac }, { secrets: [secret], nonce })).toBe(false);
    }
  });

  test('an attacker who reads the nonce in the database cannot mint a refresh token without the secret [REF-01, REF-02]', () => {
    expect(accepts(mintRefreshToken({ secret: Buffer.alloc(32), nonce, ...claims }))).toBe(false);
  });

  test('a refresh token in another spelling is refused', () => {
    const spareBits = token.slice(0, -1) + String.fromCharCode(token.charCodeAt(73) + 1);
    expect(Buffer.from(spareBits, 'base64url')).toEqual(Buffer.from(token, 'base64url'));
    const base64 = Buffer.from(token, 'base64url').toString('base64');
    for (const text of [
      spareBits,
      base64,
      `${token}=`,
      `${token}\n`,
      ` ${token}`,
      `${token}A`,
      token.slice(1),
    ]) {
      expect(parseRefreshToken(text)).toBeNull();
    }
  });

  test('parsing any other text returns null and never throws', () => {
    const shaped = fc
      .uint8Array({ minLength: 55, maxLength: 55 })
      .map((raw) => Buffer.from(raw).toString('base64url'));
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), shaped), (text) => {
        expect(accepts(text)).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  test('a refresh token of an unknown version is refused', () => {
    const bytes = Buffer.from(token, 'base64url');
    bytes[0] = 2;
    expect(parseRefreshToken(bytes.toString('base64url'))).toBeNull();
  });
});

describe('a change of refresh token secrets', () => {
  const old = mintRefreshToken({ secret: retiredSecret, nonce, ...claims });

  test('refresh tokens of the previous secret are accepted while both secrets are known', () => {
    expect(accepts(old, [secret, retiredSecret])).toBe(true);
    expect(accepts(token, [secret, retiredSecret])).toBe(true);
  });

  test('refresh tokens of the previous secret are refused after its removal', () => {
    expect(accepts(old, [secret])).toBe(false);
    expect(accepts(old, [])).toBe(false);
  });

  test('a new nonce of a session invalidates all its refresh tokens', () => {
    expect(accepts(token, [secret], Buffer.alloc(16, 'another'))).toBe(false);
  });
});
