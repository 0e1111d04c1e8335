import { beforeEach, describe, expect, it } from '@jest/globals';
import { LastReading } from './last-reading.js';

describe('a text that is read when it has changed', () => {
  let read: string[];
  let readings: LastReading<{ text: string; parts: string[] }>;

  beforeEach(() => {
    read = [];
    readings = new LastReading((key, text) => {
      read.push(`${key}: ${text}`);
      return { text, parts: [...text] };
    });
  });

  it('is read once while it stays the same, and for each key by itself', () => {
    const first = readings.of('a', 'one');
    expect(readings.of('a', ['o', 'ne'].join(''))).toBe(first);
    expect(readings.of('b', 'one')).not.toBe(first);
    expect(read).toEqual(['a: one', 'b: one']);
  });

  it('is read again when it has changed, also back to what it was', () => {
    for (const text of ['one', 'two', 'one']) expect(readings.of('a', text).text).toBe(text);
    expect(read).toEqual(['a: one', 'a: two', 'a: one']);
  });

  it('means the same to all: nobody can change what others will get', () => {
    const reading = readings.of('a', 'one');
    expect(() => reading.parts.push('admin')).toThrow(TypeError);
    expect(() => Object.assign(reading, { text: 'two' })).toThrow(TypeError);
    expect(readings.of('a', 'one')).toEqual({ text: 'one', parts: ['o', 'n', 'e'] });
  });
});
