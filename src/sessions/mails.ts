import { contextLines, defineMail, type MailContext } from '../platform/mail/define-mail.js';
import { countryName } from '../platform/runtime/locale.js';
import type { SignalFacts } from './risk/session-risk.js';

export const NEW_DEVICE_MAIL = defineMail('new_device', (data: MailContext) => ({
  subject: 'New login from an unknown device',
  paragraphs: [
    'Someone logged in to your account from a device that was not used before.',
    contextLines(data),
    'If it was you, you do not need to do anything.',
    'If it was not you, log out this device in the list of your devices, and change your password at once.',
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

export const DEVICE_KEY_REMOVED_MAIL = defineMail('device_key_removed', (data: MailContext) => ({
  subject: 'The device key of your session was removed',
  paragraphs: [
    'One of your sessions worked only on the device that had its key. Someone proved your identity without this key, so we removed it.',
    contextLines(data),
    'If it was you, for example after you cleared the data of your browser or moved to a new phone, you do not need to do anything.',
    'If it was not you, log out this device in the list of your devices, and change your password at once.',
  ],
}));

export const SUSPICIOUS_MAIL = defineMail('suspicious', (data: MailContext & { signals: SignalFacts[] }) => ({
  subject: 'Your session was used in an unusual way',
  paragraphs: [
    `One of your sessions was used in an unusual way. ${data.signals.map(sentenceOf).join(' ')}`,
    contextLines(data),
    'If it was you, you do not need to do anything.',
    'If it was not you, log out this device in the list of your devices, and change your password at once.',
  ],
}));

export const SESSION_ENDED_AS_SUSPICIOUS_MAIL = defineMail(
  'session_ended_as_suspicious',
  (data: MailContext & { signals: SignalFacts[] }) => ({
    subject: 'We ended one of your sessions',
    paragraphs: [
      `One of your sessions was used in an unusual way. ${data.signals.map(sentenceOf).join(' ')} We ended it to protect your account.`,
      contextLines(data),
      'If it was you, log in again.',
      'If it was not you, change your password and check the list of your devices.',
    ],
  }),
);

function sentenceOf(facts: SignalFacts): string {
  switch (facts.name) {
    case 'country': {
      const { country, originCountry } = facts;
      return `It began in ${countryName(originCountry, 'en')} and was used in ${countryName(country, 'en')}.`;
    }
    case 'travel':
      return `It was used ${facts.km} km from its location ${facts.hours} h earlier.`;
    case 'browser':
      return `It was used by ${facts.browser ?? 'a program that is not a browser'} instead of ${facts.usual}.`;
  }
}
