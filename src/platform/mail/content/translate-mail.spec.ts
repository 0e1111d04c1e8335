import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { MailContext } from '../define-mail.js';
import type { MailLabels } from './mail-labels.js';

/** The definitions as a new process has them, so that a fault of one test does not reach another. */
async function fresh() {
  jest.resetModules();
  const [registry, mails, translations, rendering] = await Promise.all([
    import('../../runtime/registry.js'),
    import('../define-mail.js'),
    import('./translate-mail.js'),
    import('./render-mail.js'),
  ]);
  const { contextLines, defineMail } = mails;
  const write = (word: string) => (data: MailContext) => ({
    subject: word,
    paragraphs: [`${word}.`, contextLines(data)],
  });
  const LOGIN_MAIL = defineMail('login', write('Login'));
  const NOTE_MAIL = defineMail('note', write('Note'));
  return { ...registry, ...mails, ...translations, ...rendering, write, LOGIN_MAIL, NOTE_MAIL };
}

const AT = '2026-01-31T12:00:00.000Z';
const labels = (language: string): MailLabels => ({
  when: `${language} when`,
  device: `${language} device`,
  ipAddress: `${language} address`,
  country: `${language} country`,
  open: `${language} open`,
  copyLink: `${language} copy`,
  reason: `${language} reason`,
});

let core: Awaited<ReturnType<typeof fresh>>;
beforeEach(async () => void (core = await fresh()));

const subjectIn = (...locales: string[]) => core.render(core.LOGIN_MAIL, { at: AT }, { locales }).subject;

describe('A translated mail', () => {
  it('It has the labels, the date, the country and the direction of its language', () => {
    core.translateMail(core.LOGIN_MAIL, 'de', core.write('Anmeldung'));
    core.translateMailLabels('de', labels('de'));
    const { text, html } = core.render(
      core.LOGIN_MAIL,
      { at: AT, device: 'x', ip: '192.0.2.7', country: 'AT' },
      { locales: ['de'], link: 'https://app.example' },
    );
    expect(text.split('\n').filter(Boolean)).toEqual([
      'Anmeldung.',
      'https://app.example',
      'de when: 31. Januar 2026 um 12:00:00 UTC',
      'de device: “x”',
      'de address: 192.0.2.7',
      'de country: Österreich',
      'de reason',
    ]);
    expect(html).toContain('<html lang="de" dir="ltr">');
    expect(html).toMatch(/de open[^]*de copy/);
  });

  it('It serves the regions of its language, whose dates it uses', () => {
    core.translateMail(core.LOGIN_MAIL, 'de', core.write('Anmeldung'));
    const { text, html } = core.render(core.LOGIN_MAIL, { at: AT }, { locales: ['de-AT'] });
    expect(text).toContain('31. Jänner 2026');
    expect(html).toContain('lang="de"');
  });

  it('The most specific text wins', () => {
    core.translateMail(core.LOGIN_MAIL, 'pt', core.write('pt'));
    core.translateMail(core.LOGIN_MAIL, 'pt-BR', core.write('pt-BR'));
    expect(['pt-BR', 'pt-PT', 'pt'].map((locale) => subjectIn(locale))).toEqual(['pt-BR', 'pt', 'pt']);
  });

  it('The first wanted language that the mail has is used, and English is the last', () => {
    core.translateMail(core.LOGIN_MAIL, 'de', core.write('de'));
    expect(subjectIn('fr-CA', 'de')).toBe('de');
    expect(subjectIn('en-GB', 'de')).toBe('Login');
    expect(subjectIn('fr')).toBe('Login');
    expect(subjectIn('nonsense!', '')).toBe('Login');
    expect(subjectIn()).toBe('Login');
  });

  it('A mail without a translation is English in all its parts', () => {
    core.translateMail(core.LOGIN_MAIL, 'he', core.write('he'));
    core.translateMailLabels('he', labels('he'));
    const { text, html } = core.render(core.NOTE_MAIL, { at: AT }, { locales: ['he'] });
    expect(text).toMatch(/^Note\.\n\nWhen: January 31, 2026/);
    expect(text).not.toContain('he reason');
    expect(html).toContain('<html lang="en" dir="ltr">');
    expect(core.render(core.LOGIN_MAIL, { at: AT }, { locales: ['he'] }).html).toContain('dir="rtl"');
  });

  it('A text and labels for English replace those of the core', () => {
    core.translateMail(core.LOGIN_MAIL, 'en', core.write('Sign-in'));
    core.translateMailLabels('en', labels('own'));
    expect(core.render(core.LOGIN_MAIL, { at: AT }).text).toMatch(
      /^Sign-in\.\n\nown when: .*\n\nown reason$/,
    );
    expect(core.render(core.NOTE_MAIL, { at: AT }).text).toMatch(/^Note\.\n\nown when: /);
  });

  it('Its text gets the same inert data as the English text', () => {
    core.translateMail(core.LOGIN_MAIL, 'de', ({ device }) => ({ subject: 'x', paragraphs: [device ?? ''] }));
    const { text } = core.render(core.LOGIN_MAIL, { at: AT, device: 'evil.com' }, { locales: ['de'] });
    expect(text).toContain('evil[dot]com');
    const typo = () =>
      // @ts-expect-error -- the mail has no such data
      core.translateMail(core.NOTE_MAIL, 'de', ({ devize }) => ({ subject: `${devize}`, paragraphs: [] }));
    expect(typo).not.toThrow();
  });
});

describe('The languages of mails at boot', () => {
  it.each<[string, (c: typeof core) => void]>([
    [
      "translateMail('logn', 'de'): no defineMail() call has defined this mail",
      (c) => c.translateMail('logn' as typeof c.LOGIN_MAIL, 'de', c.write('x')),
    ],
    [
      "translateMail('login', 'de'): this mail has a text in this language already",
      (c) => [1, 2].forEach(() => c.translateMail(c.LOGIN_MAIL, 'de', c.write('x'))),
    ],
    [
      "translateMail('login', 'pt-br'): write the language tag as pt-BR",
      (c) => c.translateMail(c.LOGIN_MAIL, 'pt-br', c.write('x')),
    ],
    [
      "translateMail('login', 'de_AT'): write the language tag as `de` or `pt-BR`",
      (c) => c.translateMail(c.LOGIN_MAIL, 'de_AT', c.write('x')),
    ],
    [
      "translateMailLabels('de'): this language has labels already",
      (c) => [1, 2].forEach(() => c.translateMailLabels('de', labels('de'))),
    ],
  ])('The boot stops: %s', (fault, define) => {
    define(core);
    expect(() => core.requireFaultless()).toThrow(fault);
  });

  it('The boot stops for a language without labels, and for a MAIL_LOCALE that the code does not have', () => {
    expect(() => core.requireMailLabels('en')).not.toThrow();
    expect(() => core.requireMailLabels('en-GB')).not.toThrow();
    expect(() => core.requireMailLabels('de')).toThrow(
      /^MAIL_LOCALE is de, but no translateMailLabels\(\) call/,
    );
    core.translateMail(core.LOGIN_MAIL, 'de', core.write('x'));
    expect(() => core.requireMailLabels('en')).toThrow(
      'mails are translated to de; call translateMailLabels()',
    );
    core.translateMailLabels('de', labels('de'));
    expect(() => core.requireMailLabels('en')).not.toThrow();
    expect(() => core.requireMailLabels('de-CH')).not.toThrow();
  });

  it('Mails that a language lacks are named', () => {
    core.translateMail(core.LOGIN_MAIL, 'de', core.write('x'));
    expect(core.mailsWithout('de-AT')).toEqual(['note']);
    expect(core.mailsWithout('fr')).toEqual(['login', 'note']);
    expect(core.mailsWithout('en-GB')).toEqual([]);
  });
});
