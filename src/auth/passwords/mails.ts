import { contextLines, defineMail, type MailContext } from '../../platform/mail/define-mail.js';

export const PASSWORD_CHANGED_MAIL = defineMail('password_changed', (data: MailContext) => ({
  subject: 'Your password was changed',
  paragraphs: [
    'The password of your account was changed. Other devices were logged out.',
    contextLines(data),
    'If it was you, you do not need to do anything. If it was not you, ask for a new password on the login page at once.',
  ],
}));
