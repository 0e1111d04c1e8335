import { quoted, where, type Circumstances, type Written } from './written.js';

/** The name that the user gave the passkey. */
export interface PasskeyTemplateData {
  passkey_added: Circumstances & { name: string };
  passkey_removed: Circumstances & { name: string };
  passkey_cloned: Circumstances & { name: string };
}

type Writers<Data> = { [Name in keyof Data]: (data: Data[Name]) => Written };

export const PASSKEY_MAILS: Writers<PasskeyTemplateData> = {
  passkey_added: (data) => ({
    subject: 'A passkey was added',
    paragraphs: [
      `The passkey ${quoted(data.name)} can now be used to log in to your account. Other devices were logged out.`,
      where(data),
      'If it was not you, ask for a new password on the login page at once, and remove this passkey.',
    ],
  }),
  passkey_removed: (data) => ({
    subject: 'A passkey was removed',
    paragraphs: [
      `The passkey ${quoted(data.name)} can no longer be used to log in to your account. Other devices were logged out.`,
      where(data),
      'If it was not you, ask for a new password on the login page at once.',
    ],
  }),
  passkey_cloned: (data) => ({
    subject: 'One of your passkeys may have been copied',
    paragraphs: [
      `We refused a login with the passkey ${quoted(data.name)}. An authenticator counts its uses, and this count was not higher than the last one. This can happen when a passkey was copied.`,
      where(data),
      'Remove this passkey from your account, and create another one.',
    ],
  }),
};
