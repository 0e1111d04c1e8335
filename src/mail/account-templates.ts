import { where, type Circumstances, type Written } from './written.js';

/** The mails that an account's own acts cause. Those with a `tokenId` carry a link, see `LINKS`. */
export interface AccountTemplateData {
  verify_email: { tokenId: string };
  already_registered: { at: string };
  password_reset: Circumstances & { tokenId: string };
  password_changed: Circumstances;
  confirm_email_change: { tokenId: string };
  email_change_requested: Circumstances & { newEmail: string };
  email_changed: Circumstances & { newEmail: string };
}

type Writers<Data> = { [Name in keyof Data]: (data: Data[Name]) => Written };

export const ACCOUNT_MAILS: Writers<AccountTemplateData> = {
  verify_email: () => ({
    subject: 'Confirm your e-mail address',
    paragraphs: [
      'Somebody, hopefully you, has signed up with this address. Confirm it within 24 hours:',
      'If it was not you, do not follow the link: without it the account cannot be used.',
    ],
  }),
  already_registered: () => ({
    subject: 'You already have an account',
    paragraphs: [
      'Somebody, perhaps you, has tried to sign up with this address. It has an account already, and nothing about it was changed.',
      'Log in with it. If you do not know its password any more, ask for a new one on the login page.',
    ],
  }),
  password_reset: (data) => ({
    subject: 'Choose a new password',
    paragraphs: [
      'Somebody, hopefully you, has asked for a new password. Choose one within 30 minutes:',
      'Every device will be logged out then. If it was not you, there is nothing to do: without the link nothing changes.',
      where(data),
    ],
  }),
  password_changed: (data) => ({
    subject: 'Your password has been changed',
    paragraphs: [
      'The password of your account has been changed, and other devices have been logged out.',
      where(data),
      'If it was not you, ask for a new password on the login page at once.',
    ],
  }),
  confirm_email_change: () => ({
    subject: 'Confirm your new e-mail address',
    paragraphs: [
      'This address is to become that of an account. Confirm it within an hour:',
      'If you know nothing of it, do not follow the link.',
    ],
  }),
  email_change_requested: (data) => ({
    subject: 'Your e-mail address is to be changed',
    paragraphs: [
      `The address of your account is to become ${data.newEmail}, once that has been confirmed.`,
      where(data),
      'If it was not you, change your password: that calls it off. Then end the logins that you do not know.',
    ],
  }),
  email_changed: (data) => ({
    subject: 'Your e-mail address has been changed',
    paragraphs: [
      `The address of your account is now ${data.newEmail}. This one will get no more mails of it.`,
      where(data),
      'If it was not you, somebody else has your account: tell us at once.',
    ],
  }),
};
