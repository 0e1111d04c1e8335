import { PRODUCT } from '../../product.js';
import { contextLines, defineMail, quoted, type MailContext } from '../../platform/mail/define-mail.js';

/** Mails about the registration of an account, its address and a forgotten password. */

/** Anyone can enter any address: its owner may have no account. */
const ENTERED = `You get this e-mail because someone entered this address at ${PRODUCT.name}.`;

export const VERIFY_EMAIL_MAIL = defineMail(
  'verify_email',
  () => ({
    subject: 'Confirm your e-mail address',
    paragraphs: [
      'Someone signed up with this address. If it was you, confirm the address within 24 hours:',
      'If it was not you, do not follow the link. The account cannot be used until the address is confirmed.',
    ],
    button: 'Confirm the address',
    reason: ENTERED,
  }),
  { link: { page: 'verify-email', purpose: 'email_verification' } },
);

export const REGISTERED_AGAIN_MAIL = defineMail(
  'registered_again',
  () => ({
    subject: 'Choose a password for your account',
    paragraphs: [
      'Someone signed up with this address more than once. If it was you, choose the password of your account within 30 minutes:',
      'Passwords from earlier sign-ups and links in earlier mails do not work. If it was not you, do not follow the link. The account cannot be used without it.',
    ],
    button: 'Choose a password',
    reason: ENTERED,
  }),
  { link: { page: 'reset-password', purpose: 'password_reset' } },
);

export const ALREADY_REGISTERED_MAIL = defineMail<{ at: string }>('already_registered', () => ({
  subject: 'You already have an account',
  paragraphs: [
    'Someone tried to sign up with this address, which already has an account. Nothing about the account was changed.',
    'If it was you, log in with this address. If you have forgotten the password, ask for a new one on the login page.',
    'If it was not you, you do not need to do anything.',
  ],
}));

export const PASSWORD_RESET_MAIL = defineMail(
  'password_reset',
  (data: MailContext) => ({
    subject: 'Choose a new password',
    paragraphs: [
      'Someone asked for a new password for your account. If it was you, choose one within 30 minutes:',
      'A new password logs out every device. If it was not you, you do not need to do anything. Nothing changes without the link.',
      contextLines(data),
    ],
    button: 'Choose a new password',
  }),
  { link: { page: 'reset-password', purpose: 'password_reset' } },
);

export const CONFIRM_EMAIL_CHANGE_MAIL = defineMail(
  'confirm_email_change',
  () => ({
    subject: 'Confirm your new e-mail address',
    paragraphs: [
      'Someone wants to change the address of their account to this one. If it was you, confirm it within one hour, and stay logged in until then:',
      'Logging out on the device that asked for the change cancels it. If you did not ask for it, do not follow the link.',
    ],
    button: 'Confirm the address',
    reason: ENTERED,
  }),
  { link: { page: 'verify-email', purpose: 'email_change' } },
);

export const EMAIL_CHANGE_REQUESTED_MAIL = defineMail(
  'email_change_requested',
  (data: MailContext & { newEmail: string }) => ({
    subject: 'A change of your e-mail address was requested',
    paragraphs: [
      `Someone asked to change the address of your account to ${quoted(data.newEmail)}. The change takes effect when that address is confirmed.`,
      contextLines(data),
      'If it was not you, change your password at once. That cancels the change and logs out all other devices.',
    ],
  }),
);

export const EMAIL_CHANGED_MAIL = defineMail('email_changed', (data: MailContext & { newEmail: string }) => ({
  subject: 'Your e-mail address was changed',
  paragraphs: [
    `The address of your account is now ${quoted(data.newEmail)}. This address will no longer receive e-mails about it.`,
    contextLines(data),
    'If it was not you, someone else has access to your account. Contact us at once.',
  ],
  reason: `You get this e-mail because your account at ${PRODUCT.name} used this address until now.`,
}));
