import { quoted, where, type Circumstances, type Written } from './written.js';

/** The mails about actions of an account. A mail with a `tokenId` contains a link, see `LINKS`. */
export interface AccountTemplateData {
  verify_email: { tokenId: string };
  registered_again: { tokenId: string };
  already_registered: { at: string };
  password_reset: Circumstances & { tokenId: string };
  password_changed: Circumstances;
  confirm_email_change: { tokenId: string };
  email_change_requested: Circumstances & { newEmail: string };
  email_changed: Circumstances & { newEmail: string };
  second_factor_added: Circumstances & { factor: string };
  second_factor_removed: Circumstances & { factor: string };
  second_factor_reset: Circumstances;
  recovery_codes_renewed: Circumstances;
  recovery_code_used: Circumstances & { left: number };
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
  registered_again: () => ({
    subject: 'Choose a password for your account',
    paragraphs: [
      'Somebody, hopefully you, has signed up with this address more than once. Choose the password that is to count, within 30 minutes:',
      'None that was given before does, nor does the link of an earlier mail. If it was not you, do not follow the link: without it the account cannot be used.',
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
      'This address is to become that of an account. Confirm it within an hour, and stay logged in until then:',
      'Logging out on the device that asked for the change cancels it. If you know nothing of it, do not follow the link.',
    ],
  }),
  email_change_requested: (data) => ({
    subject: 'Your e-mail address is to be changed',
    paragraphs: [
      `Someone asked to change the address of your account to ${quoted(data.newEmail)}. It changes when that address is confirmed.`,
      where(data),
      'If it was not you, change your password at once. That cancels the change and logs out all other devices.',
    ],
  }),
  email_changed: (data) => ({
    subject: 'Your e-mail address has been changed',
    paragraphs: [
      `The address of your account is now ${quoted(data.newEmail)}. This address will no longer receive email about it.`,
      where(data),
      'If it was not you, somebody else has your account: tell us at once.',
    ],
  }),
  second_factor_added: (data) => ({
    subject: 'A second factor has been added',
    paragraphs: [
      `From now on a login to your account wants ${data.factor} besides the password. Other devices have been logged out.`,
      where(data),
      'If it was not you, ask for a new password on the login page at once, and tell us.',
    ],
  }),
  second_factor_removed: (data) => ({
    subject: 'A second factor has been removed',
    paragraphs: [
      `A login to your account does not want ${data.factor} any more. Other devices have been logged out.`,
      where(data),
      'If it was not you, ask for a new password on the login page at once.',
    ],
  }),
  second_factor_reset: (data) => ({
    subject: 'Your second factors have been removed',
    paragraphs: [
      'Somebody who runs this service has removed the second factors of your account, as is done for people who have lost theirs. Every device has been logged out.',
      where(data),
      'Log in and add a second factor again. If you did not ask for it, tell us at once.',
    ],
  }),
  recovery_codes_renewed: (data) => ({
    subject: 'You have new recovery codes',
    paragraphs: [
      'New recovery codes have been made for your account, and the old ones are void.',
      where(data),
      'If it was not you, ask for a new password on the login page at once.',
    ],
  }),
  recovery_code_used: (data) => ({
    subject: 'A recovery code of yours was used',
    paragraphs: [
      `Somebody, hopefully you, has used a recovery code of your account. ${leftOf(data.left)}`,
      where(data),
      'If it was not you, change your password and make new recovery codes at once.',
    ],
  }),
};

/** If fewer codes are left, the mail advises to make new ones. */
const FEW_CODES = 4;

function leftOf(left: number): string {
  const codes = left === 1 ? 'One is left' : `${left || 'None'} are left`;
  return left < FEW_CODES ? `${codes}: make new ones soon.` : `${codes}.`;
}
