import { contextLines, defineMail, quoted, type MailContext } from '../../platform/mail/define-mail.js';

/** The mail about an app that keeps its access after a logout; `name` is the one that the app has given itself. */
export const APP_ALLOWED_MAIL = defineMail('app_allowed', (data: MailContext & { name: string }) => ({
  subject: 'An app can now act for your account',
  paragraphs: [
    `You have allowed the app ${quoted(data.name)} to act for your account, also after you log out.`,
    contextLines(data),
    'If it was not you, change your password at once. That also ends the access of the app.',
  ],
}));
