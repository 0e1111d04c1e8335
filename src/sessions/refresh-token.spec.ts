import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createHmac, hkdfSync } from 'node:crypto';
import { mintRefreshToken, parseRefreshToken, verifyRefreshToken } from './refresh-token.js';

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

/** Read and believed. */
function accepts(text: string, secrets = [secret], sessionNonce = nonce): boolean {
  const parsed = parseRefreshToken(text);
  return parsed !== null && verifyRefreshToken(parsed, { secrets, nonce: sessionNonce });
}

describe('a refresh token', () => {
  test('says what it was minted for, and is believed under its own secret and nonce', () => {
    fc.assert(
      fc.property(anyClaims, key(32), key(16), (claims, secret, nonce) => {
        const parsed = parseRefreshToken(mintRefreshToken({ secret, nonce, ...claims }));
        expect(parsed).toMatchObject(claims);
        expect(verifyRefreshToken(parsed!, { secrets: [secret], nonce })).toBe(true);
      }),
    );
  });

  test('is minted the same again, so that a repeated answer needs no store', () => {
    expect(mintRefreshToken({ secret, nonce, ...claims })).toBe(token);
  });

  // Should this fail, every client out there would be logged out: raise the version and read both.
  test('keeps its format across releases', () => {
    expect(token).toBe('AQGanzxbenwdji8BI0VniasAAAAHAAKdM6mSNw39UbuVP6uNIqSM9n87F7FRRFOuIm-W0B545w');
  });

  test('is authenticated by a key of its session, by HKDF as RFC 5869 has it', () => {
    fc.assert(
      fc.property(key(32), key(16), (secret, nonce) => {
        const derived = hkdfSync('sha256', secret, nonce, 'drawbridge refresh token v1', 32);
        const bytes = Buffer.from(mintRefreshToken({ secret, nonce, ...claims }), 'base64url');
        const mac = createHmac('sha256', Buffer.from(derived)).update(bytes.subarray(0, -32)).digest();
        expect(bytes.subarray(-32)).toEqual(mac);
      }),
    );
  });

  test('fits a cookie and a header as it is', () => {
    expect(token).toMatch(/^[\w-]{74}$/);
  });

  test('cannot be guessed: ten thousand of them share nothing but their form [REF-01, SES-02]', () => {
    const samples = Array.from({ length: 10_000 }, (_, generation) =>
      mintRefreshToken({ secret, nonce, sessionId, generation, sibling: 1 }),
    );
    expect(new Set(samples.map((sample) => sample.slice(-43))).size).toBe(10_000);
    const macs = samples.map((sample) => parseRefreshToken(sample)!.mac);
    for (let bit = 0; bit < 256; bit += 1) {
      const ones = macs.filter((mac) => (mac[bit >> 3]! >> (bit & 7)) & 1).length;
      // Six standard deviations of a fair coin: the same samples each time, so this cannot be bad luck.
      expect(Math.abs(ones - 5_000)).toBeLessThan(300);
    }
    for (const sample of samples) expect(sample).not.toMatch(/\.|^[0-9a-f-]{36}$/);
  });

  test.each([
    ['a generation', { generation: 0x1_0000_0000 }],
    ['a negative generation', { generation: -1 }],
    ['a sibling', { sibling: 0x1_0000 }],
    ['an id', { sessionId: 'not-a-uuid' }],
  ])('is not minted for %s that does not fit', (_, misfit) => {
    expect(() => mintRefreshToken({ secret, nonce, ...claims, ...misfit })).toThrow(/out of range|is a UUID/);
  });
});

describe('a forger', () => {
  test('cannot change a single bit [REF-01]', () => {
    const bytes = Buffer.from(token, 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const forged = Buffer.from(bytes);
      forged[bit >> 3]! ^= 1 << (bit & 7);
      expect(accepts(forged.toString('base64url'))).toBe(false);
    }
  });

  test('cannot move it to another place in the lineage, or to another session', () => {
    const { mac } = parseRefreshToken(token)!;
    const elsewhere = [{ generation: 8 }, { sibling: 3 }, { sessionId: sessionId.replace('019a', '019b') }];
    for (const change of elsewhere) {
      expect(verifyRefreshToken({ ...claims, ...change, mac }, { secrets: [secret], nonce })).toBe(false);
    }
  });

  test('who reads the nonce in the database lacks the secret [REF-01, REF-02]', () => {
    expect(accepts(mintRefreshToken({ secret: Buffer.alloc(32), nonce, ...claims }))).toBe(false);
  });

  test('cannot spell a token in another way', () => {
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

  test('gets null for anything else, and never an exception', () => {
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

  test('cannot bring a token of a version that we do not read', () => {
    const bytes = Buffer.from(token, 'base64url');
    bytes[0] = 2;
    expect(parseRefreshToken(bytes.toString('base64url'))).toBeNull();
  });
});

describe('a change of secrets', () => {
  const old = mintRefreshToken({ secret: retiredSecret, nonce, ...claims });

  test('lets tokens of the former secret in while both are known', () => {
    expect(accepts(old, [secret, retiredSecret])).toBe(true);
    expect(accepts(token, [secret, retiredSecret])).toBe(true);
  });

  test('ends them when the former one is gone', () => {
    expect(accepts(old, [secret])).toBe(false);
    expect(accepts(old, [])).toBe(false);
  });

  test('of the session’s nonce ends every token of that session', () => {
    expect(accepts(token, [secret], Buffer.alloc(16, 'another'))).toBe(false);
  });
});
