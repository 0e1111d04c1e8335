import { Registry, type Defined } from '../runtime/registry.js';
import { inertData } from './inert-text.js';
import type { MailedPurpose } from './mailed-token.repository.js';

/** The context of an event, as a mail may show it. Instants are ISO 8601. */
export interface MailContext {
  at: string;
  device?: string | null;
  ip?: string | null;
  country?: string | null;
}

/** The content of a mail before it is rendered as text and HTML. */
export interface MailContent {
  subject: string;
  /** The link of a mail, if any, follows the first paragraph. */
  paragraphs: string[];
}

/** The link of a mail: a page under `APP_URL`, with a token in its fragment if the mail has a purpose for one. */
export interface MailLink {
  page: string;
  purpose?: MailedPurpose;
}

export interface MailOptions<Data> {
  link?: MailLink;
  /** Fields that contain a whole sentence: up to 240 characters of them are shown, of other fields 64. */
  sentences?: readonly (keyof Data & string)[];
}

declare const dataOf: unique symbol;

/** A mail that {@link defineMail} has returned: `MailOutbox.add()` requires its data. */
export type MailTemplate<Data extends object> = Defined<'mail'> & { readonly [dataOf]: (data: Data) => void };

/** The mails of the core and of all features. */
export const MAILS = new Registry<{ write: (data: never) => MailContent } & MailOptions<never>>({
  call: 'defineMail',
  names: /^[a-z][a-z_]{0,59}$/,
});

/**
 * Defines a mail. Call it where a module loads, not in a function. A duplicate name stops the boot.
 *
 * `write` gets the data as JSON has kept it, and all texts in it in inert form: no mail program makes a link of
 * them, see {@link inertData}.
 *
 * @param name lower-case letters and underscores. Mails that wait in the outbox have it: define a mail under its old
 *   name until they are sent
 */
export function defineMail<Data extends object>(
  name: string,
  write: (data: Data) => MailContent,
  options: MailOptions<NoInfer<Data>> & { link: Required<MailLink> },
): MailTemplate<Data & { tokenId: string }>;
export function defineMail<Data extends object = Record<string, never>>(
  name: string,
  write: (data: Data) => MailContent,
  options?: MailOptions<NoInfer<Data>>,
): MailTemplate<Data>;
export function defineMail(
  name: string,
  write: (data: never) => MailContent,
  options: MailOptions<never> = {},
) {
  return MAILS.define(name, { write, ...options });
}

/** Quotes untrusted text. */
export function quoted(text: string): string {
  return `“${text}”`;
}

/** The context of an event as lines of a mail. Unknown facts are omitted. */
export function contextLines({ at, device, ip, country }: MailContext): string {
  const facts = [
    ['When', at],
    ['Device', device && quoted(device)],
    ['IP address', ip],
    ['Country', country],
  ];
  return facts
    .filter(([, value]) => value)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');
}

/**
 * Renders a mail as plain text and HTML.
 *
 * @param link empty for mails without a link
 */
export function render<Data extends object>(
  template: MailTemplate<Data>,
  data: NoInfer<Data>,
  link = '',
): { subject: string; text: string; html: string } {
  const { write, sentences } = MAILS.get(template);
  const { subject, paragraphs } = write(inertData(data, sentences) as never);
  const lines = [paragraphs[0]!, link, ...paragraphs.slice(1)].filter(Boolean);
  const html = lines.map((line) => `<p>${line === link ? anchor(link) : toHtml(line)}</p>`).join('\n');
  return { subject, text: lines.join('\n\n'), html: `<!doctype html><meta charset="utf-8">\n${html}` };
}

const toHtml = (line: string): string => escape(line).replaceAll('\n', '<br>');

const anchor = (link: string): string => `<a href="${escape(link)}">${escape(link)}</a>`;

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes text for HTML, in content and in attributes. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
