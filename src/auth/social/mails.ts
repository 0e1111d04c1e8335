import { contextLines, defineMail, quoted, type MailContext } from '../../platform/mail/define-mail.js';

/** Mails about outside accounts; `provider` is its name in the settings. */

export const IDENTITY_LINKED_MAIL = defineMail(
  'identity_linked',
  (data: MailContext & { provider: string; account: string }) => ({
    subject: 'An outside account was linked',
    paragraphs: [
      `You can now log in with the account ${quoted(data.account)} of ${quoted(data.provider)}.`,
      contextLines(data),
      'If it was not you, remove this outside account at once, and change your password.',
    ],
  }),
);

export const IDENTITY_UNLINKED_MAIL = defineMail(
  'identity_unlinked',
  (data: MailContext & { provider: string; account: string }) => ({
    subject: 'An outside account was removed',
    paragraphs: [
      `The account ${quoted(data.account)} of ${quoted(data.provider)} can no longer be used to log in.`,
      contextLines(data),
      'If it was not you, change your password at once.',
    ],
  }),
);
