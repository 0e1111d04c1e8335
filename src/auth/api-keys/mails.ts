import { contextLines, defineMail, quoted, type MailContext } from '../../platform/mail/define-mail.js';

/** Mails about API keys; `name` is the one that the owner gave the key. */

export const API_KEY_CREATED_MAIL = defineMail('api_key_created', (data: MailContext & { name: string }) => ({
  subject: 'An API key was created',
  paragraphs: [
    `The API key ${quoted(data.name)} can now be used to act for your account. It keeps working after you log out or change your password.`,
    contextLines(data),
    'If it was not you, end this key in the list of your API keys at once, and change your password.',
  ],
}));

export const API_KEY_LEAKED_MAIL = defineMail(
  'api_key_leaked',
  (data: MailContext & { name: string; where?: string | null }) => ({
    subject: 'One of your API keys was published',
    paragraphs: [
      `A secret scanner has found the API key ${quoted(data.name)} in a public place. We have ended the key, so that it no longer works.`,
      data.where ? `The scanner found it here: ${quoted(data.where)}` : '',
      contextLines(data),
      'Check what was done with the key. Create a new key for the program that used it, and keep keys out of source code.',
    ],
  }),
);
