import { addFault, type Defined } from '../../runtime/registry.js';
import { BootError } from '../../settings/boot-error.js';
import { MAILS, type MailContent, type MailTemplate } from '../define-mail.js';
import { canonicalLocale, lookupChain } from '../../runtime/locale.js';
import { ENGLISH_LABELS, type MailLabels } from './mail-labels.js';

/** The language of `defineMail()`. */
const ENGLISH = 'en';

type Write = (data: never) => MailContent;

/** The translations by language tag, and there by the name of the mail. */
const translations = new Map<string, Map<string, Write>>();
const labels = new Map<string, MailLabels>();

/**
 * Adds a mail's text in another language. Call it where a module loads. A second text for the language, or a wrong
 * language tag, stops the boot. A text for `en` replaces that of `defineMail()`.
 *
 * @param locale a language tag (BCP 47), such as `de` or `pt-BR`. `de` also serves `de-AT`
 * @param write gets the same data as the function in `defineMail()`
 */
export function translateMail<Data extends object>(
  template: MailTemplate<Data>,
  locale: string,
  write: (data: NoInfer<Data>) => MailContent,
): void {
  const call = `translateMail('${template}', '${locale}')`;
  const texts = translations.get(locale) ?? new Map<string, Write>();
  if (!MAILS.has(template)) addFault(`${call}: no defineMail() call has defined this mail`);
  else if (texts.has(template)) addFault(`${call}: this mail has a text in this language already`);
  else if (isLanguageTag(call, locale)) translations.set(locale, texts.set(template, write));
}

/** Adds the texts of a language that all mails share. Each language of `translateMail()` needs them. */
export function translateMailLabels(locale: string, texts: MailLabels): void {
  const call = `translateMailLabels('${locale}')`;
  if (labels.has(locale)) addFault(`${call}: this language has labels already`);
  else if (isLanguageTag(call, locale)) labels.set(locale, texts);
}

function isLanguageTag(call: string, locale: string): boolean {
  const canonical = canonicalLocale(locale);
  if (canonical === locale) return true;
  addFault(`${call}: write the language tag as ${canonical ?? '`de` or `pt-BR`'}`);
  return false;
}

/** The texts of one mail in one language. */
export interface MailTexts {
  write: Write;
  labels: MailLabels;
  /** The language of the texts. */
  language: string;
  /** The same language, perhaps with the region that was asked for. Dates follow it. */
  locale: string;
}

/**
 * The texts in the first language that the mail has: of each wanted locale, from the most specific tag to the least
 * (RFC 4647 3.4), and English last.
 */
export function textsOf(template: Defined<'mail'>, wanted: readonly string[]): MailTexts {
  const candidates = [...wanted, ENGLISH].flatMap((locale) =>
    lookupChain(locale).map((language) => ({ locale, language })),
  );
  const { locale, language } = candidates.find((candidate) => writerOf(template, candidate.language))!;
  return {
    write: writerOf(template, language)!,
    labels: labelsOf(language) ?? ENGLISH_LABELS,
    language,
    locale,
  };
}

function writerOf(template: Defined<'mail'>, language: string): Write | undefined {
  const write = translations.get(language)?.get(template);
  return write ?? (language === ENGLISH ? MAILS.get(template).write : undefined);
}

function labelsOf(language: string): MailLabels | undefined {
  const chain = lookupChain(language);
  const found = chain.find((tag) => labels.has(tag));
  if (found) return labels.get(found);
  return chain.at(-1) === ENGLISH ? ENGLISH_LABELS : undefined;
}

/** The mails that are sent in another language when this one is asked for. */
export function mailsWithout(locale: string): string[] {
  return MAILS.names().filter((name) => {
    const { language } = textsOf(name as Defined<'mail'>, [locale]);
    return !lookupChain(locale).includes(language);
  });
}

/**
 * Checks the languages of mails at boot.
 *
 * @param locale the value of `MAIL_LOCALE`
 * @throws BootError if the labels of a language are missing
 */
export function requireMailLabels(locale: string): void {
  if (!labelsOf(locale))
    throw new BootError(`MAIL_LOCALE is ${locale}, but no translateMailLabels() call adds this language`);
  const missing = [...translations.keys()].filter((language) => !labelsOf(language));
  if (missing.length > 0)
    throw new BootError(
      `mails are translated to ${missing.join(', ')}; call translateMailLabels() for it too`,
    );
}
