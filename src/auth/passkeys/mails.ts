import { contextLines, defineMail, quoted, type MailContext } from '../../platform/mail/define-mail.js';

/** Mails about passkeys; `name` is the one that the user gave the passkey. */

export const PASSKEY_ADDED_MAIL = defineMail('passkey_added', (data: MailContext & { name: string }) => ({
  subject: 'A passkey was added',
  paragraphs: [
    `The passkey ${quoted(data.name)} can now be used to log in to your account. Other devices were logged out.`,
    contextLines(data),
    'If it was not you, ask for a new password on the login page at once, and remove this passkey.',
  ],
}));

export const PASSKEY_REMOVED_MAIL = defineMail('passkey_removed', (data: MailContext & { name: string }) => ({
  subject: 'A passkey was removed',
  paragraphs: [
    `The passkey ${quoted(data.name)} can no longer be used to log in to your account. Other devices were logged out.`,
    contextLines(data),
    'If it was not you, ask for a new password on the login page at once.',
  ],
}));

export const PASSKEY_CLONED_MAIL = defineMail('passkey_cloned', (data: MailContext & { name: string }) => ({
  subject: 'One of your passkeys may have been copied',
  paragraphs: [
    `We refused a login with the passkey ${quoted(data.name)}. Some authenticators count their uses, and this count was not higher than the last one. This can happen when a passkey was copied.`,
    contextLines(data),
    'Remove this passkey from your account, and create another one. If it was not you, change your password too.',
  ],
}));
