import type { Origin } from '../common/request.js';
import type { Circumstances } from '../mail/templates.js';
import { describe } from './devices.service.js';

/** The request context that a mail to the user may show: time, IP address and device name. */
export function circumstances({ ip, userAgent }: Origin, at: Date): Circumstances {
  return { at: at.toISOString(), ip, device: userAgent && describe(userAgent).name };
}
