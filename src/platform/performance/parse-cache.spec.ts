import { beforeEach, describe, expect, it } from '@jest/globals';
import { ParseCache } from './parse-cache.js';

describe('A cache of parsed texts', () => {
  let read: string[];
  let readings: ParseCache<{ text: string; parts: string[] }>;

  beforeEach(() => {
    read = [];
    readings = new ParseCache((key, text) => {
      read.push(`${key}: ${text}`);
      return { text, parts: [...text] };
    });
  });

  it('The parse cache parses an unchanged text once, and separately for each key', () => {
    const first = readings.of('a', 'one');
    expect(readings.of('a', ['o', 'ne'].join(''))).toBe(first);
    expect(readings.of('b', 'one')).not.toBe(first);
    expect(read).toEqual(['a: one', 'b: one']);
  });

  it('The parse cache parses a text again when it has changed, even back to an earlier text', () => {
    for (const text of ['one', 'two', 'one']) expect(readings.of('a', text).text).toBe(text);
    expect(read).toEqual(['a: one', 'a: two', 'a: one']);
  });

  it('The parse cache returns frozen values, so that no caller can change them for another', () => {
    const reading = readings.of('a', 'one');
    expect(() => reading.parts.push('admin')).toThrow(TypeError);
    expect(() => Object.assign(reading, { text: 'two' })).toThrow(TypeError);
    expect(readings.of('a', 'one')).toEqual({ text: 'one', parts: ['o', 'n', 'e'] });
  });
});
