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
    subject: 'A passkey has been added',
    paragraphs: [
      `Whoever holds the passkey ${quoted(data.name)} can log in to your account from now on. Other devices have been logged out.`,
      where(data),
      'If it was not you, ask for a new password on the login page at once, and remove that passkey.',
    ],
  }),
  passkey_removed: (data) => ({
    subject: 'A passkey has been removed',
    paragraphs: [
      `The passkey ${quoted(data.name)} does not open your account any more. Other devices have been logged out.`,
      where(data),
      'If it was not you, ask for a new password on the login page at once.',
    ],
  }),
  passkey_cloned: (data) => ({
    subject: 'A passkey of yours may have been copied',
    paragraphs: [
      `A login with the passkey ${quoted(data.name)} has been refused: its authenticator counts its uses, and this one had been counted before, as happens when there are two of it.`,
      where(data),
      'Remove that passkey from your account, and make another one.',
    ],
  }),
};
