import { describe, expect, it } from '@jest/globals';
import '../../../core-mails.js';
import { addressesInHtml, textsOfHtml } from '../../../../test/support/mail-html.js';
import { PRODUCT } from '../../../product.js';
import { contextLines, defineMail, MAILS, type MailContext, type MailTemplate } from '../define-mail.js';
import { render } from './render-mail.js';

const LINK = 'https://app.example/reset-password#token=a&b"c';
const DATA = {
  at: '2026-01-31T12:00:00.000Z',
  device: 'Chrome on Windows',
  ip: '192.0.2.7',
  country: 'AT',
  newEmail: 'ann',
  name: 'my key',
  provider: 'acme',
  account: 'ann',
  where: 'a public place',
  left: 2,
  signals: [{ name: 'country', country: 'DE', originCountry: 'AT' }],
};
const CORE = MAILS.names() as MailTemplate<never>[];
const rendered = (name: MailTemplate<never>) =>
  render(name, DATA as never, { link: MAILS.get(name).link ? LINK : '' });

const MARKUP = '<img src="https://evil.example/?a=1&b=2">';
const MARKED_UP_MAIL = defineMail('marked_up', () => ({
  subject: `Subject ${MARKUP}`,
  paragraphs: [`Opening ${MARKUP}`, `Rest ${MARKUP}`],
  button: `Button ${MARKUP}`,
  reason: `Reason ${MARKUP}`,
}));
const PLAIN_MAIL = defineMail('plain', ({ note, ...context }: MailContext & { note: string }) => ({
  subject: 'A subject',
  paragraphs: ['First.', note, 'Two\nlines.', contextLines(context)],
}));

describe('A mail', () => {
  it.each(CORE)('Mail %s has the same sentences as text and as HTML, in the same order', (name) => {
    const { subject, text, html } = rendered(name);
    const lines = textsOfHtml(html).split('\n');
    const labelled = text.replaceAll(/^(When|Device|IP address|Country): /gm, '$1\n');
    const opening = text.split('\n')[0]!;
    const button =
      lines[lines.indexOf('If the button does not work, copy this address into your browser:') - 1];
    const own = MAILS.get(name).link
      ? [button, 'If the button does not work, copy this address into your browser:']
      : [];
    const [sentence, ...others] = labelled.split(/\n+/);
    // The title, the preview, the product's name and the heading come first.
    expect(lines).toEqual([subject, opening, PRODUCT.name, subject, sentence, ...own, ...others]);
  });

  it.each(CORE)('Mail %s loads nothing and has no link but its own, twice', (name) => {
    const { html } = rendered(name);
    const address = LINK.replace('&', '&amp;').replace('"', '&quot;');
    expect(addressesInHtml(html)).toEqual(MAILS.get(name).link ? [address, address] : []);
    expect(html).not.toMatch(
      /<(img|script|link|form|iframe|object|embed|video|audio|svg|input|base)\b|\son\w+=/i,
    );
  });

  it.each(CORE)('Mail %s says in words why its reader gets it', (name) => {
    const last = rendered(name).text.split('\n\n').at(-1);
    expect(last).toMatch(new RegExp(`^You get this e-mail because .*${PRODUCT.name}.*\\.$`));
  });

  it('Markup in any text of a mail is shown as text', () => {
    const { html, text } = render(MARKED_UP_MAIL, {}, { link: LINK });
    const parts = ['Subject', 'Opening', 'Subject', 'Opening', 'Button', 'Rest', 'Reason'];
    expect(textsOfHtml(html).match(/^\w+ <img .*$/gm)).toEqual(parts.map((part) => `${part} ${MARKUP}`));
    expect(html).not.toContain('<img');
    expect(text).toContain(`Rest ${MARKUP}`);
  });

  it('The link follows the first paragraph, and a mail without a link has none', () => {
    const data = { at: DATA.at, note: 'Second.' };
    expect(render(PLAIN_MAIL, data, { link: LINK }).text).toMatch(/^First\.\n\nhttps:.*\n\nSecond\./);
    const { text, html } = render(PLAIN_MAIL, data);
    expect(text).toMatch(/^First\.\n\nSecond\./);
    expect(html).not.toMatch(/href|button/);
  });

  it('The button has the text of the mail, or else a text for all mails', () => {
    const textOf = (html: string) => /<a [^>]*>(.*?)<\/a>/.exec(html)![1];
    expect(textOf(render(PLAIN_MAIL, { at: DATA.at, note: '' }, { link: LINK }).html)).toBe('Open the page');
    expect(textOf(rendered('verify_email' as MailTemplate<never>).html)).toBe('Confirm the address');
  });

  it('Empty paragraphs and unknown facts are omitted', () => {
    const { text, html } = render(PLAIN_MAIL, { at: DATA.at, note: '', device: null });
    expect(text).toBe(
      [
        'First.',
        'Two\nlines.',
        'When: January 31, 2026 at 12:00:00 UTC',
        `You get this e-mail because an account at ${PRODUCT.name} uses this address.`,
      ].join('\n\n'),
    );
    expect(html.match(/<p /g)).toHaveLength(2);
    expect(html.match(/<tr><th/g)).toHaveLength(1);
  });

  it('The HTML is at most 600 px wide, and follows the appearance of the mail program', () => {
    const { html } = render(PLAIN_MAIL, { at: DATA.at, note: '' });
    expect(html).toContain('max-width: 600px');
    expect(html).toContain('<meta name="color-scheme" content="light dark">');
    expect(html).toContain('@media (prefers-color-scheme: dark)');
    expect(html).toContain('<html lang="en" dir="ltr">');
  });

  it('The HTML stays below the size at which Gmail cuts a mail', () => {
    for (const name of CORE) expect(rendered(name).html.length).toBeLessThan(20_000);
  });
});
