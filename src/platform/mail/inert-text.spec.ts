import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { inertText } from './inert-text.js';
import '../../core-mails.js';
import { NEW_DEVICE_MAIL, SUSPICIOUS_MAIL } from '../../sessions/mails.js';
import { addressesInHtml, textsOfHtml } from '../../../test/support/mail-html.js';
import { render } from './content/render-mail.js';
import { defineMail, MAILS, type MailTemplate } from './define-mail.js';

/** The mails of the core. A feature's mail gets its data through the same function, see the last test of the group. */
const NAMES = MAILS.names() as MailTemplate<never>[];
const LIST_MAIL = defineMail('list', ({ items }: { items: { name: string; of: string[] }[] }) => ({
  subject: 'A list',
  paragraphs: items.map(({ name, of }) => `${name}: ${of.join(' and ')}`),
}));

const OWN_LINK = 'https://app.example/reset-password#token=0123456789abcdefABCDEF';
const AT = '2026-01-31T12:00:00.000Z';
const AT_IN_WORDS = 'January 31, 2026 at 12:00:00 UTC';

/**
 * Everything that mail programs turn into a link: absolute URIs (RFC 3986 3), network paths, e-mail addresses, bare
 * domains with any dot of IDNA (UTS 46 2.3) or one that looks like it, Windows paths, and phone numbers (ITU-T E.164:
 * from seven digits on). Also everything that moves text visually: line ends, controls, bidirectional marks,
 * invisible characters, tags.
 */
const LINKED: [string, RegExp][] = [
  ['a URI', /[a-z][a-z\d+.-]*:\S/giu],
  ['a network path', /\/\/|\\\\/gu],
  ['a path', /\p{L}\/\p{L}|\p{L}\\\p{L}/gu],
  ['an e-mail address', /[@\uff20\ufe6b]/gu],
  [
    'a domain',
    /[\p{L}\p{N}\p{M}\p{So}_-][.\u3002\uff0e\uff61\u2024\ufe52\ufe12\u2025\u2026](?=[\p{L}\p{N}\p{M}\p{So}_-])/gu,
  ],
  ['an encoded character', /%[\da-f]{2}|&#/giu],
  ['a phone number', /\p{Nd}(?:[^\p{L}\p{Nd}]{0,4}\p{Nd}){6,}/gu],
  [
    'a control or an invisible character',
    /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu,
  ],
  ['a tag', /[<>]/gu],
];

function linkedIn(text: string): string[] {
  const bare = text.replaceAll(OWN_LINK, '').replaceAll(AT_IN_WORDS, '').replaceAll('192.0.2.7', '');
  return [bare, bare.normalize('NFKC')].flatMap((form) =>
    LINKED.flatMap(([what, pattern]) => (form.match(pattern) ?? []).map((match) => `${what}: ${match}`)),
  );
}

const HOSTILE = [
  'evil.com',
  'EVIL.COM',
  'evil.com.',
  'https://evil.com/login',
  'hxxp://evil.com',
  'HTTPS:evil',
  'javascript:alert(1)',
  'data:text/html,x',
  'mailto:thief',
  'tel:+19005551234',
  '//evil.com',
  '\\\\evil.com\\share',
  'www.evil',
  'thief@evil.com',
  'thief\uff20evil\uff0ecom',
  'evil\u3002com',
  'evil\uff0ecom',
  'evil\uff61com',
  'evil\u2024com',
  'evil\ufe52com',
  'evil\ufe12com',
  'evil\u200b.\u200bcom',
  'evil\ufe0f.com',
  'ev\u034fil.com',
  'evil\u3164com',
  'ev\u00adil.com',
  'evil\u2060.com',
  '\u24d4\u24e5\u24d8\u24db.com',
  'ев\u0456l.рф',
  'evil%2ecom',
  'evil&#46;com',
  '93.184.216.34',
  '[2001:db8::7]',
  '\u2488com',
  'evil\u2025com',
  '<a href="https://evil.com">Log in</a>',
  'a\r\n\r\nhttps://evil.com',
  'a\u2028https://evil.com',
  'a\u0085evil.com',
  'a\u202emoc.live',
  '+1 (900) 555-1234',
  '1.900.555.1234',
  '\uff11\uff12\uff13\uff14\uff15\uff16\uff17',
  '\u0661\u0662\u0663\u0664\u0665\u0666\u0667',
  '1900\ud83d\udd25555\ud83d\udd251234',
  'a'.repeat(63) + '.com',
  'a'.repeat(63) + '@evil.com',
];

/** The data of all mails, with the given text in each field that another person may have written. */
const withText = (text: string) => ({
  at: AT,
  ip: '192.0.2.7',
  device: text,
  country: text,
  newEmail: text,
  signals: [
    { name: 'browser', browser: text, usual: text },
    { name: 'country', country: text, originCountry: text },
  ],
  name: text,
  provider: text,
  account: text,
  where: text,
  left: 2,
  tokenId: text,
});

const mail = (name: MailTemplate<never>, data: object) =>
  render(name, data as never, { link: MAILS.get(name).link ? OWN_LINK : '' });

/** The mails without hostile text. */
const PLAIN = new Map(NAMES.map((name) => [name, mail(name, withText('x'))]));

/** Expects the mail to contain no link and no line but our own, as a mail program would see it. */
function expectOwnLinksOnly(name: MailTemplate<never>, text: string): void {
  const [plain, attacked] = [PLAIN.get(name)!, mail(name, withText(text))];
  const lines = new Set(attacked.text.split('\n'));
  const others = textsOfHtml(attacked.html)
    .split('\n')
    .filter((line) => !lines.has(line));
  for (const part of [attacked.subject, attacked.text, others.join('\n')])
    expect({ name, text, linked: linkedIn(part) }).toEqual({ name, text, linked: [] });
  const linesOf = (whole: string) => whole.split(/\r\n|[\n\r\u2028\u2029\u0085]/).length;
  // Text of invisible characters alone becomes empty, and its line is omitted.
  const isMore = linesOf(attacked.text) > linesOf(plain.text);
  expect({ name, text, isMore }).toEqual({ name, text, isMore: false });
  expect(attacked.text.split(OWN_LINK).length).toBe(MAILS.get(name).link ? 2 : 1);
  expect(addressesInHtml(attacked.html)).toEqual(MAILS.get(name).link ? [OWN_LINK, OWN_LINK] : []);
  expect(plain.text).not.toContain('undefined');
  expect(attacked.subject).toBe(plain.subject);
}

describe('A mail with untrusted text', () => {
  it.each(NAMES)('Mail %s contains no link but our own, for any hostile text', (name) => {
    for (const text of HOSTILE) {
      expectOwnLinksOnly(name, text);
      expectOwnLinksOnly(name, `Call ${text} now`);
      expectOwnLinksOnly(name, `x${text}y`);
    }
  });

  it('Mails contain no link but our own, for any text', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        ...HOSTILE,
        '.',
        '@',
        ':',
        '/',
        '\\',
        ' ',
        '7',
        '12',
        '\n',
        '\u200b',
        '\u3002',
        'com',
        'www',
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
      fc.string({ unit: 'grapheme', maxLength: 5 }),
    );
    const texts = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(texts, fc.constantFrom(...NAMES), (text, name) => expectOwnLinksOnly(name, text)),
      { numRuns: 500 },
    );
  });

  it('A mail contains no link in texts of lists and objects', () => {
    for (const text of HOSTILE) {
      const { text: shown } = render(LIST_MAIL, { items: [{ name: 'x', of: [text, 'y'] }] });
      expect({ text, linked: linkedIn(shown.replace('x: ', '')) }).toEqual({ text, linked: [] });
    }
  });

  it('A mail shows an instant and a client address unquoted only if they are valid', () => {
    const { text } = mail(NEW_DEVICE_MAIL, { at: 'evil.com', ip: 'evil.com', device: 'x' });
    expect(linkedIn(text)).toEqual([]);
    expect(mail(NEW_DEVICE_MAIL, { at: AT, ip: '2001:db8::7', device: 'x' }).text).toContain(
      `When: ${AT_IN_WORDS}\nDevice: “x”\nIP address: 2001:db8::7`,
    );
  });

  it('A mail cuts long text', () => {
    const { text } = mail(NEW_DEVICE_MAIL, { at: AT, device: 'A very long name '.repeat(20) });
    expect(/^Device: “(.*)”$/m.exec(text)![1]!.length).toBeLessThanOrEqual(65);
    const signals = [{ name: 'browser', browser: 'A very long name '.repeat(20), usual: 'x' }];
    expect(mail(SUSPICIOUS_MAIL, { at: AT, signals }).text.length).toBeLessThan(600);
  });
});

describe('inertText()', () => {
  it.each([
    ["Anna's iPhone 15 Pro (work)", "Anna's iPhone 15 Pro (work)"],
    ['Chrome on Windows', 'Chrome on Windows'],
    ['J. Doe, Büro', 'J. Doe, Büro'],
    ['日本のパソコン', '日本のパソコン'],
    ['the blue one 🔑', 'the blue one 🔑'],
    ['Galaxy S24+ 512GB', 'Galaxy S24+ 512GB'],
    ['thief@evil.com', 'thief[at]evil[dot]com'],
    [
      'it was used 12300 km from its location 120 h earlier',
      'it was used 12300 km from its location 120 h earlier',
    ],
  ])('inertText() turns %s into %s', (text, inert) => {
    expect(inertText(text)).toBe(inert);
  });
});
