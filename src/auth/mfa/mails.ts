import { contextLines, defineMail, type MailContext } from '../../platform/mail/define-mail.js';

export const SECOND_FACTOR_ADDED_MAIL = defineMail('second_factor_added', (data: MailContext) => ({
  subject: 'A second factor was added',
  paragraphs: [
    'A login to your account now requires a code from an authenticator app in addition to the password. Other devices were logged out.',
    contextLines(data),
    'If it was not you, ask for a new password on the login page at once, and contact us.',
  ],
}));

export const SECOND_FACTOR_REMOVED_MAIL = defineMail('second_factor_removed', (data: MailContext) => ({
  subject: 'A second factor was removed',
  paragraphs: [
    'A login to your account no longer requires a code from an authenticator app. Other devices were logged out.',
    contextLines(data),
    'If it was not you, ask for a new password on the login page at once.',
  ],
}));

export const SECOND_FACTOR_RESET_MAIL = defineMail('second_factor_reset', (data: MailContext) => ({
  subject: 'Your second factors were removed',
  paragraphs: [
    'An administrator of this service removed the second factors of your account. Administrators do this for users that have lost theirs. Every device was logged out.',
    contextLines(data),
    'Log in and add a second factor again. If you did not ask for this, contact us at once.',
  ],
}));

export const RECOVERY_CODES_RENEWED_MAIL = defineMail('recovery_codes_renewed', (data: MailContext) => ({
  subject: 'You have new recovery codes',
  paragraphs: [
    'New recovery codes were created for your account. The old codes no longer work.',
    contextLines(data),
    'If it was not you, ask for a new password on the login page at once.',
  ],
}));

export const RECOVERY_CODE_USED_MAIL = defineMail(
  'recovery_code_used',
  (data: MailContext & { left: number }) => ({
    subject: 'One of your recovery codes was used',
    paragraphs: [
      `Someone used a recovery code to log in to your account. ${leftOf(data.left)}`,
      contextLines(data),
      'If it was you, you do not need to do anything else. If it was not you, change your password and create new recovery codes at once.',
    ],
  }),
);

/** If fewer codes are left, the mail advises to make new ones. */
const FEW_CODES = 4;

function leftOf(left: number): string {
  const codes = left === 1 ? 'One code is left' : `${left || 'No'} codes are left`;
  return left < FEW_CODES ? `${codes}. Create new ones soon.` : `${codes}.`;
}
