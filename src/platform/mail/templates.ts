import { ACCOUNT_MAILS, type AccountTemplateData } from './account-templates.js';
import { inertData } from './inert-text.js';
import type { MailedPurpose } from './mailed-token.repository.js';
import { PASSKEY_MAILS, type PasskeyTemplateData } from './passkey-templates.js';
import { contextLines, type MailContext, type MailContent } from './mail-content.js';

export type { MailContext as Circumstances } from './mail-content.js';

/** The data of each mail. Untrusted text reaches a template only in inert form, see {@link inertData}. */
export interface TemplateData extends AccountTemplateData, PasskeyTemplateData {
  new_device: MailContext;
  refresh_reuse: MailContext;
  suspicious: MailContext & { signal: string };
  session_ended_as_suspicious: MailContext & { signal: string };
}
export type TemplateName = keyof TemplateData;

/** The mails with a link: its page, and the purpose of its token. */
export const LINKS = {
  verify_email: { page: 'verify-email', purpose: 'email_verification' },
  registered_again: { page: 'reset-password', purpose: 'password_reset' },
  confirm_email_change: { page: 'verify-email', purpose: 'email_change' },
  password_reset: { page: 'reset-password', purpose: 'password_reset' },
} as const satisfies Partial<Record<TemplateName, { page: string; purpose: MailedPurpose }>>;
export type LinkedTemplate = keyof typeof LINKS;

const WRITTEN: { [Name in TemplateName]: (data: TemplateData[Name]) => MailContent } = {
  ...ACCOUNT_MAILS,
  ...PASSKEY_MAILS,
  new_device: (data) => ({
    subject: 'New login from an unknown device',
    paragraphs: [
      'Someone logged in to your account from a device that was not used before.',
      contextLines(data),
      'If it was you, you do not need to do anything. If not, log out that device and change your password.',
    ],
  }),
  refresh_reuse: (data) => ({
    subject: 'Your session may have been copied, and was ended',
    paragraphs: [
      'We detected that your session was used in two places, which can happen when it was copied. We logged out both.',
      contextLines(data),
      'Log in again. If you do not recognise these details, change your password and check the list of your devices.',
    ],
  }),
  suspicious: (data) => ({
    subject: 'Your session was used in an unusual way',
    paragraphs: [
      `One of your sessions was used in an unusual way: ${data.signal}.`,
      contextLines(data),
      'If it was you, you do not need to do anything. If not, log out that device and change your password.',
    ],
  }),
  session_ended_as_suspicious: (data) => ({
    subject: 'We ended one of your sessions',
    paragraphs: [
      `One of your sessions was used in an unusual way: ${data.signal}. We ended it to protect your account.`,
      contextLines(data),
      'If it was you, log in again. If not, change your password and check the list of your devices.',
    ],
  }),
};

export const TEMPLATE_NAMES = Object.keys(WRITTEN) as TemplateName[];

/**
 * Renders a mail as plain text and HTML.
 * @param link empty for mails without a link
 */
export function render<Name extends TemplateName>(
  template: Name,
  data: TemplateData[Name],
  link = '',
): { subject: string; text: string; html: string } {
  const { subject, paragraphs } = WRITTEN[template](inertData(data));
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
