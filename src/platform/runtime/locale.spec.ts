import { describe, expect, it } from '@jest/globals';
import { canonicalLocale, countryName, directionOf, instantText, lookupChain } from './locale.js';

describe('A language tag', () => {
  it.each([
    ['pt-br', 'pt-BR'],
    ['DE', 'de'],
    ['zh-hant-tw', 'zh-Hant-TW'],
    ['de_AT', undefined],
    ['', undefined],
    ['de; drop', undefined],
  ])('%j has the canonical spelling %s', (tag, canonical) => {
    expect(canonicalLocale(tag)).toBe(canonical);
  });

  it('is looked up with its prefixes, the most specific first (RFC 4647 3.4)', () => {
    expect(lookupChain('zh-hant-tw')).toEqual(['zh-Hant-TW', 'zh-Hant', 'zh']);
    expect(lookupChain('nonsense!')).toEqual([]);
  });

  it.each([
    ['de', 'ltr'],
    ['he', 'rtl'],
    ['ar-EG', 'rtl'],
    ['ks', 'rtl'],
    ['az-Arab', 'rtl'],
    ['az', 'ltr'],
  ])('%s is written %s', (language, direction) => {
    expect(directionOf(language)).toBe(direction);
  });
});

describe('A fact in a language', () => {
  it('A country has its name in the language, and other text stays unchanged', () => {
    expect(['en', 'de'].map((locale) => countryName('DE', locale))).toEqual(['Germany', 'Deutschland']);
    expect(['T1', 'evil', 'de'].map((country) => countryName(country, 'en'))).toEqual(['T1', 'evil', 'de']);
  });

  it('An instant is a date and a time of 24 hours in UTC, and other text stays unchanged', () => {
    const afternoon = '2026-01-31T15:04:05.000Z';
    expect(instantText(afternoon, 'en')).toBe('January 31, 2026 at 15:04:05 UTC');
    expect(instantText(afternoon, 'de-AT')).toBe('31. Jänner 2026 um 15:04:05 UTC');
    expect(instantText(afternoon, 'de')).toBe('31. Januar 2026 um 15:04:05 UTC');
    expect(instantText('2026-01-31', 'en')).toBe('2026-01-31');
    expect(instantText('soon', 'en')).toBe('soon');
  });
});
