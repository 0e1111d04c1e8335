import type { Origin } from '../common/request.js';
import type { Circumstances } from '../mail/templates.js';
import { describe } from './devices.service.js';

/** What the person may be told of who did it. */
export function circumstances({ ip, userAgent }: Origin, at: Date): Circumstances {
  return { at: at.toISOString(), ip, device: userAgent && describe(userAgent).name };
}
