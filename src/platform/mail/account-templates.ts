import { quoted, contextLines, type MailContext, type MailContent } from './mail-content.js';

/** The mails about actions of an account. A mail with a `tokenId` contains a link, see `LINKS`. */
export interface AccountTemplateData {
  verify_email: { tokenId: string };
  registered_again: { tokenId: string };
  already_registered: { at: string };
  password_reset: MailContext & { tokenId: string };
  password_changed: MailContext;
  confirm_email_change: { tokenId: string };
  email_change_requested: MailContext & { newEmail: string };
  email_changed: MailContext & { newEmail: string };
  second_factor_added: MailContext & { factor: string };
  second_factor_removed: MailContext & { factor: string };
  second_factor_reset: MailContext;
  recovery_codes_renewed: MailContext;
  recovery_code_used: MailContext & { left: number };
}

type Writers<Data> = { [Name in keyof Data]: (data: Data[Name]) => MailContent };

export const ACCOUNT_MAILS: Writers<AccountTemplateData> = {
  verify_email: () => ({
    subject: 'Confirm your e-mail address',
    paragraphs: [
      'Someone signed up with this address. If it was you, confirm the address within 24 hours:',
      'If it was not you, do not follow the link. The account cannot be used until the address is confirmed.',
    ],
  }),
  registered_again: () => ({
    subject: 'Choose a password for your account',
    paragraphs: [
      'Someone signed up with this address more than once. If it was you, choose the password of your account within 30 minutes:',
      'Passwords from earlier sign-ups and links in earlier mails do not work. If it was not you, do not follow the link. The account cannot be used without it.',
    ],
  }),
  already_registered: () => ({
    subject: 'You already have an account',
    paragraphs: [
      'Someone, perhaps you, tried to sign up with this address. It already has an account. Nothing about the account was changed.',
      'You can log in with this address. If you have forgotten the password, ask for a new one on the login page.',
    ],
  }),
  password_reset: (data) => ({
    subject: 'Choose a new password',
    paragraphs: [
      'Someone asked for a new password for your account. If it was you, choose one within 30 minutes:',
      'A new password logs out every device. If it was not you, you do not need to do anything. Nothing changes without the link.',
      contextLines(data),
    ],
  }),
  password_changed: (data) => ({
    subject: 'Your password was changed',
    paragraphs: [
      'The password of your account was changed. Other devices were logged out.',
      contextLines(data),
      'If it was not you, ask for a new password on the login page at once.',
    ],
  }),
  confirm_email_change: () => ({
    subject: 'Confirm your new e-mail address',
    paragraphs: [
      'Someone wants to change the address of their account to this one. If it was you, confirm it within one hour, and stay logged in until then:',
      'Logging out on the device that asked for the change cancels it. If you did not ask for it, do not follow the link.',
    ],
  }),
  email_change_requested: (data) => ({
    subject: 'A change of your e-mail address was requested',
    paragraphs: [
      `Someone asked to change the address of your account to ${quoted(data.newEmail)}. The change takes effect when that address is confirmed.`,
      contextLines(data),
      'If it was not you, change your password at once. That cancels the change and logs out all other devices.',
    ],
  }),
  email_changed: (data) => ({
    subject: 'Your e-mail address was changed',
    paragraphs: [
      `The address of your account is now ${quoted(data.newEmail)}. This address will no longer receive e-mails about it.`,
      contextLines(data),
      'If it was not you, someone else has access to your account. Contact us at once.',
    ],
  }),
  second_factor_added: (data) => ({
    subject: 'A second factor was added',
    paragraphs: [
      `A login to your account now requires ${data.factor} in addition to the password. Other devices were logged out.`,
      contextLines(data),
      'If it was not you, ask for a new password on the login page at once, and contact us.',
    ],
  }),
  second_factor_removed: (data) => ({
    subject: 'A second factor was removed',
    paragraphs: [
      `A login to your account no longer requires ${data.factor}. Other devices were logged out.`,
      contextLines(data),
      'If it was not you, ask for a new password on the login page at once.',
    ],
  }),
  second_factor_reset: (data) => ({
    subject: 'Your second factors were removed',
    paragraphs: [
      'An administrator of this service removed the second factors of your account. This is done for users that have lost theirs. Every device was logged out.',
      contextLines(data),
      'Log in and add a second factor again. If you did not ask for this, contact us at once.',
    ],
  }),
  recovery_codes_renewed: (data) => ({
    subject: 'You have new recovery codes',
    paragraphs: [
      'New recovery codes were created for your account. The old codes no longer work.',
      contextLines(data),
      'If it was not you, ask for a new password on the login page at once.',
    ],
  }),
  recovery_code_used: (data) => ({
    subject: 'One of your recovery codes was used',
    paragraphs: [
      `Someone, hopefully you, used a recovery code of your account. ${leftOf(data.left)}`,
      contextLines(data),
      'If it was not you, change your password and create new recovery codes at once.',
    ],
  }),
};

/** If fewer codes are left, the mail advises to make new ones. */
const FEW_CODES = 4;

function leftOf(left: number): string {
  const codes = left === 1 ? 'One code is left' : `${left || 'No'} codes are left`;
  return left < FEW_CODES ? `${codes}. Create new ones soon.` : `${codes}.`;
}
