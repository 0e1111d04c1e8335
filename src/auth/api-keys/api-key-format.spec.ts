import { describe, expect, it } from '@jest/globals';
import { loadSettings } from '../../platform/settings/load-settings.js';
import { ApiKeyFormat } from './api-key-format.js';

const ID = '019b2f0a-1234-7abc-8def-0123456789ab';
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** CRC-32 bit by bit, with the polynomial of ISO 3309 in reversed form. Its check value is a constant of the standard. */
function crc32(text: string): number {
  let crc = 0xffffffff;
  for (const byte of Buffer.from(text)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function numberOf(base62: string): number {
  return [...base62].reduce((sum, digit) => sum * 62 + BASE62.indexOf(digit), 0);
}

function formatIn(env: Record<string, string> = {}): ApiKeyFormat {
  return new ApiKeyFormat(loadSettings({ NODE_ENV: 'test', ...env }));
}

describe('The text of an API key', () => {
  it('is the prefix, the environment, the id, 30 random characters and a checksum of all of them', () => {
    expect(crc32('123456789')).toBe(0xcbf43926);
    const { text } = formatIn().mint(ID);
    expect(text).toMatch(/^dbk_t019b2f0a12347abc8def0123456789ab[0-9A-Za-z]{36}$/);
    expect(numberOf(text.slice(-6))).toBe(crc32(text.slice(0, -6)));
  });

  it('is read back as its id, and as the SHA-256 of the text', () => {
    const format = formatIn({ API_KEY_PREFIX: 'other' });
    const { text, digest } = format.mint(ID);
    expect(text).toMatch(/^other_t/);
    expect(format.parse(text)).toEqual({ id: ID, digest });
    expect(Buffer.from(digest, 'base64')).toHaveLength(32);
    expect(format.publicPartOf(ID)).toBe(text.slice(0, -36));
  });

  it('has a new secret of 178 bits each time, in which every character is equally likely', () => {
    const texts = Array.from({ length: 3_000 }, () => formatIn().mint(ID).text.slice(-36, -6));
    expect(new Set(texts).size).toBe(texts.length);
    const counts = new Map<string, number>();
    for (const letter of texts.join('')) counts.set(letter, (counts.get(letter) ?? 0) + 1);
    expect([...counts.keys()].sort()).toEqual([...BASE62].sort());
    const mean = (3_000 * 30) / 62;
    // Seven standard deviations of a binomial count.
    for (const count of counts.values()) expect(Math.abs(count - mean)).toBeLessThan(7 * Math.sqrt(mean));
  });

  it('is refused with any one character changed, left out or doubled: the checksum finds every such error', () => {
    const format = formatIn();
    const { text } = format.mint(ID);
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === 'a' ? 'b' : 'a';
      for (const spoilt of [
        text.slice(0, at) + other + text.slice(at + 1),
        text.slice(0, at) + text.slice(at + 1),
        text.slice(0, at) + text[at] + text.slice(at),
      ])
        expect({ spoilt, parsed: format.parse(spoilt) }).toEqual({ spoilt, parsed: null });
    }
  });

  it.each([
    ['of another environment', { NODE_ENV: 'development' }],
    ['of another product', { API_KEY_PREFIX: 'other' }],
  ])('is refused by a service %s', (_, env) => {
    expect(formatIn(env).parse(formatIn().mint(ID).text)).toBeNull();
  });

  it.each(['', 'x', 'dbk_t', ' ', 'dbk_t'.repeat(20), '\0', 'é'.repeat(73), 'a'.repeat(16_000)])(
    'is refused when it is no key at all: %j',
    (text) => {
      expect(formatIn().parse(text)).toBeNull();
    },
  );

  it.each(['X', '1abc', 'a', 'a'.repeat(17), 'a_b', 'a-b', 'aé'])(
    'cannot begin with the prefix %j: the boot stops',
    (prefix) => {
      expect(() => formatIn({ API_KEY_PREFIX: prefix })).toThrow(/API_KEY_PREFIX/);
    },
  );
});
