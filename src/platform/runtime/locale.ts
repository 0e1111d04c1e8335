/** The canonical spelling of a language tag (BCP 47), such as `pt-BR` for `pt-br`; undefined if it is none. */
export function canonicalLocale(tag: string): string | undefined {
  try {
    return Intl.getCanonicalLocales(tag)[0];
  } catch {
    return undefined;
  }
}

/** A language tag and its prefixes, the most specific first: `zh-Hant-TW`, `zh-Hant`, `zh`. Empty for other text. */
export function lookupChain(tag: string): string[] {
  const parts = canonicalLocale(tag)?.split('-') ?? [];
  return parts.map((_, index) => parts.slice(0, parts.length - index).join('-'));
}

/** The scripts of living languages that are written from right to left. */
const RIGHT_TO_LEFT = ['Adlm', 'Arab', 'Aran', 'Hebr', 'Nkoo', 'Rohg', 'Syrc', 'Thaa'];

/** The direction of a language's script, for the attribute `dir`. */
export function directionOf(language: string): 'ltr' | 'rtl' {
  const { script = '' } = new Intl.Locale(language).maximize();
  return RIGHT_TO_LEFT.includes(script) ? 'rtl' : 'ltr';
}

/** The name of a country in a language, such as "Germany" for `DE`. Other text stays unchanged. */
export function countryName(country: string, locale: string): string {
  if (!/^[A-Z]{2}$/.test(country)) return country;
  return new Intl.DisplayNames(locale, { type: 'region' }).of(country) ?? country;
}

/** An ISO 8601 instant as a date and a time in UTC. Other text stays unchanged. */
export function instantText(instant: string, locale: string): string {
  const time = new Date(instant);
  if (time.toJSON() !== instant) return instant;
  const style = { dateStyle: 'long', timeStyle: 'long', timeZone: 'UTC', hourCycle: 'h23' } as const;
  return new Intl.DateTimeFormat(locale, style).format(time);
}
