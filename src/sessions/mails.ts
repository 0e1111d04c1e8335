import { contextLines, defineMail, type MailContext } from '../platform/mail/define-mail.js';

export const NEW_DEVICE_MAIL = defineMail('new_device', (data: MailContext) => ({
  subject: 'New login from an unknown device',
  paragraphs: [
    'Someone logged in to your account from a device that was not used before.',
    contextLines(data),
    'If it was you, you do not need to do anything. If not, log out that device and change your password.',
  ],
}));

export const REFRESH_REUSE_MAIL = defineMail('refresh_reuse', (data: MailContext) => ({
  subject: 'Your session may have been copied, and was ended',
  paragraphs: [
    'We detected that your session was used in two places, which can happen when it was copied. We logged out both.',
    contextLines(data),
    'Log in again. If you do not recognise these details, change your password and check the list of your devices.',
  ],
}));

export const SUSPICIOUS_MAIL = defineMail(
  'suspicious',
  (data: MailContext & { signal: string }) => ({
    subject: 'Your session was used in an unusual way',
    paragraphs: [
      `One of your sessions was used in an unusual way: ${data.signal}.`,
      contextLines(data),
      'If it was you, you do not need to do anything. If not, log out that device and change your password.',
    ],
  }),
  { sentences: ['signal'] },
);

export const SESSION_ENDED_AS_SUSPICIOUS_MAIL = defineMail(
  'session_ended_as_suspicious',
  (data: MailContext & { signal: string }) => ({
    subject: 'We ended one of your sessions',
    paragraphs: [
      `One of your sessions was used in an unusual way: ${data.signal}. We ended it to protect your account.`,
      contextLines(data),
      'If it was you, log in again. If not, change your password and check the list of your devices.',
    ],
  }),
  { sentences: ['signal'] },
);
