import { describe, expect, it } from '@jest/globals';
import { dictionary } from '@zxcvbn-ts/language-common';
import { findWeakness } from './password-strength.js';

const MIN_LENGTH = 15;
const CONTEXT = ['drawbridge', 'alice.miller@example.com', 'alice', 'miller', 'Alice Miller'];
const LIST = dictionary['passwords-common'] as string[];
const MAX_COMMON = 3_000;

describe('weaknessOf()', () => {
  it('weaknessOf() rejects each of the most common passwords, repeated until it is long enough [PWD-04]', () => {
    const passed = LIST.slice(0, MAX_COMMON)
      .map((word) => word.repeat(Math.ceil(MIN_LENGTH / word.length)))
      .filter((password) => findWeakness(password, []) === null);
    expect(passed).toEqual([]);
  });

  it('weaknessOf() rejects each listed password that is long enough by itself, in any case [PWD-04]', () => {
    const long = LIST.filter((word) => [...word].length >= MIN_LENGTH);
    expect(long.length).toBeGreaterThan(30);
    expect(long.filter((word) => findWeakness(word, []) === null)).toEqual([]);
    expect(long.filter((word) => findWeakness(word.toUpperCase(), []) === null)).toEqual([]);
  });

  it('weaknessOf() rejects two of the most common passwords in a row, with or without a separator [PWD-04]', () => {
    const words = LIST.slice(0, 400).filter((word) => word.length >= 6);
    const pairs = words.flatMap((word, index) => {
      const other = words[words.length - 1 - index]!;
      return [`${word}${other}`, `${word} ${other}!`, `${word}-${other}-`];
    });
    const long = pairs.filter((pair) => pair.length >= MIN_LENGTH);
    expect(long.length).toBeGreaterThan(300);
    expect(long.filter((password) => findWeakness(password, []) === null)).toEqual([]);
  });

  it.each([
    ['passwordpassword', /repeats itself/],
    ['PasswordPassword', /repeats itself/],
    ['p4ssw0rdp4ssw0rd', /repeats itself/],
    ['drowssapdrowssap', /repeats itself/],
    ['ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ', /repeats itself/],
    ['aaaaaaaaaaaaaaa', /repeats itself/],
    ['🦊'.repeat(MIN_LENGTH), /repeats itself/],
    ['x'.repeat(256), /repeats itself/],
    ['p4$5w0rd'.repeat(32), /repeats itself/],
    ['Summer2026'.repeat(26).slice(0, 256), /repeats itself/],
    ['Alice Miller 1984, '.repeat(13), /your name/],
    ['123456789012345', /./],
    ['12345678901234567890', /./],
    ['abcdefghijklmno', /alphabet/],
    ['abcdefghijklmnopqrstuvwxyz', /alphabet/],
    ['qwertyuiopasdfghjkl', /./],
    ['1qaz2wsx3edc4rfv', /./],
    ['password123456789', /./],
    ['Summer2026Summer2026', /repeats itself/],
    ['monkey dragon password', /common/],
    ['drawbridgepassword2026', /the name of this product/],
    ['DRAWBRIDGE-Password-2026!', /the name of this product/],
    ['alice.miller@example.com', /your address/],
    ['alicemillerexamplecom', /your name|your address/],
    ['alice miller 1984', /your name/],
    ['Alice_Miller_2026_!', /your name/],
  ])('weaknessOf() rejects %s and gives the reason', (password, why) => {
    expect(findWeakness(password, CONTEXT)).toMatch(why);
  });

  it.each([
    'correct horse battery staple',
    'correct horse battery staple '.repeat(8).trim(),
    'four words and spaces',
    'thecatsatonthemat',
    'xkqzjvbnmwpfhgd',
    'die Brücke am Abend',
    'five Words of café talk',
    '9vK-2m_Tq8.zL4!',
    '!*(#@;:%&)-_/?"',
    'ab?%-#!&(*@:/)',
    // Only one end of this password is weak.
    `${'password'.repeat(12)}${'xkqzjvbnmwpfhgd'.repeat(8).slice(0, 96)} and the cat sat on the mat`,
  ])('weaknessOf() accepts %s', (password) => {
    expect(findWeakness(password, CONTEXT)).toBeNull();
  });

  it("weaknessOf() accepts a password that contains another user's name or a name of one letter", () => {
    expect(findWeakness('alice miller reads at night', ['bob', 'a', 'i'])).toBeNull();
    expect(findWeakness('a b c of the reading room', ['a', 'b', 'c'])).toBeNull();
  });
});
