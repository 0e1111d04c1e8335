import { PRODUCT } from '../../../product.js';

/** The texts of a language that all mails share. */
export interface MailLabels {
  /** The labels of {@link contextLines}. */
  when: string;
  device: string;
  ipAddress: string;
  country: string;
  /** The button of a mail that names no text for it. */
  open: string;
  /** The sentence before the address of the link, for mail programs that show no button. */
  copyLink: string;
  /** The last sentence: why the recipient gets the mail. */
  reason: string;
}

export const ENGLISH_LABELS: MailLabels = {
  when: 'When',
  device: 'Device',
  ipAddress: 'IP address',
  country: 'Country',
  open: 'Open the page',
  copyLink: 'If the button does not work, copy this address into your browser:',
  reason: `You get this e-mail because an account at ${PRODUCT.name} uses this address.`,
};
