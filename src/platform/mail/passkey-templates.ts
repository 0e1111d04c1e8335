import { quoted, contextLines, type MailContext, type MailContent } from './mail-content.js';

/** The name that the user gave the passkey. */
export interface PasskeyTemplateData {
  passkey_added: MailContext & { name: string };
  passkey_removed: MailContext & { name: string };
  passkey_cloned: MailContext & { name: string };
}

type Writers<Data> = { [Name in keyof Data]: (data: Data[Name]) => MailContent };

export const PASSKEY_MAILS: Writers<PasskeyTemplateData> = {
  passkey_added: (data) => ({
    subject: 'A passkey was added',
    paragraphs: [
      `The passkey ${quoted(data.name)} can now be used to log in to your account. Other devices were logged out.`,
      contextLines(data),
      'If it was not you, ask for a new password on the login page at once, and remove this passkey.',
    ],
  }),
  passkey_removed: (data) => ({
    subject: 'A passkey was removed',
    paragraphs: [
      `The passkey ${quoted(data.name)} can no longer be used to log in to your account. Other devices were logged out.`,
      contextLines(data),
      'If it was not you, ask for a new password on the login page at once.',
    ],
  }),
  passkey_cloned: (data) => ({
    subject: 'One of your passkeys may have been copied',
    paragraphs: [
      `We refused a login with the passkey ${quoted(data.name)}. An authenticator counts its uses, and this count was not higher than the last one. This can happen when a passkey was copied.`,
      contextLines(data),
      'Remove this passkey from your account, and create another one.',
    ],
  }),
};
