import { Registry, type Defined } from '../runtime/registry.js';
import type { MailedPurpose } from './mailed-token.repository.js';

/** The context of an event, as a mail may show it. Instants are ISO 8601. */
export interface MailContext {
  at: string;
  device?: string | null;
  ip?: string | null;
  country?: string | null;
}

/** The context of an event as a part of a mail, see {@link contextLines}. */
export interface ContextLines {
  readonly context: MailContext;
}

/** The content of a mail before it is rendered as text and HTML. */
export interface MailContent {
  /** Also the heading of the HTML. */
  subject: string;
  /** The link of a mail, if any, follows the first paragraph. Empty texts are omitted. */
  paragraphs: readonly (string | ContextLines)[];
  /** The text of the button that opens the link, such as "Confirm the address". The labels have a default. */
  button?: string;
  /** The last sentence: why the recipient gets the mail. By default, an account uses the address. */
  reason?: string;
}

/** The link of a mail: a page under `APP_URL`, with a token in its fragment if the mail has a purpose for one. */
export interface MailLink {
  page: string;
  purpose?: MailedPurpose;
}

export interface MailOptions {
  link?: MailLink;
}

declare const dataOf: unique symbol;

/** A mail that {@link defineMail} has returned: `MailOutbox.add()` requires its data. */
export type MailTemplate<Data extends object> = Defined<'mail'> & { readonly [dataOf]: (data: Data) => void };

/** The mails of the core and of all features. */
export const MAILS = new Registry<{ write: (data: never) => MailContent } & MailOptions>({
  call: 'defineMail',
  names: /^[a-z][a-z_]{0,59}$/,
});

/**
 * Defines a mail with its English text. Call it where a module loads, not in a function. A duplicate name stops the boot.
 * `translateMail()` adds other languages.
 *
 * `write` gets the data as JSON has kept it, and all texts in it in inert form: no mail program makes a link of
 * them, see `inert-text.ts`.
 *
 * @param name lower-case letters and underscores. Mails that wait in the outbox have it: define a mail under its old
 *   name until they are sent
 */
export function defineMail<Data extends object>(
  name: string,
  write: (data: Data) => MailContent,
  options: MailOptions & { link: Required<MailLink> },
): MailTemplate<Data & { tokenId: string }>;
export function defineMail<Data extends object = Record<string, never>>(
  name: string,
  write: (data: Data) => MailContent,
  options?: MailOptions,
): MailTemplate<Data>;
export function defineMail(name: string, write: (data: never) => MailContent, options: MailOptions = {}) {
  return MAILS.define(name, { write, ...options });
}

/** Quotes untrusted text. */
export function quoted(text: string): string {
  return `“${text}”`;
}

/**
 * The context of an event as a part of a mail: one line for each known fact. The mail's language decides about labels,
 * the date and the name of the country.
 */
export function contextLines({ at, device, ip, country }: MailContext): ContextLines {
  return { context: { at, device, ip, country } };
}
