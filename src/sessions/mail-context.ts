import type { RequestContext } from '../platform/http/request.js';
import type { MailContext } from '../platform/mail/define-mail.js';
import { describeUserAgent } from './devices/device-recognition.js';

/** The request context that a mail to the user may show: time, IP address and device name. */
export function mailContextOf({ ip, userAgent }: RequestContext, at: Date): MailContext {
  return { at: at.toISOString(), ip, device: userAgent && describeUserAgent(userAgent).name };
}
