import { z } from 'zod';
import { EXAMPLE_DEVICE } from '../../platform/api/examples.js';
import { instant, text, uuid } from '../../platform/api/schemas.js';
import type { DeviceRecord } from './device.repository.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';

export const deviceName = text({ max: 100 }).meta({ examples: ['My laptop'] });

export const DeviceChanges = z.strictObject({ name: deviceName });

export const DeviceView = z
  .object({
    id: uuid,
    name: z.string().meta({ examples: [EXAMPLE_DEVICE.name] }),
    browser: z
      .string()
      .optional()
      .meta({ examples: [EXAMPLE_DEVICE.browser] }),
    os: z
      .string()
      .optional()
      .meta({ examples: [EXAMPLE_DEVICE.os] }),
    ip: z
      .string()
      .optional()
      .describe('the IP address at the last refresh of its latest session')
      .meta({ examples: [EXAMPLE_DEVICE.ip] }),
    country: z.string().optional(),
    firstSeenAt: instant,
    lastSeenAt: instant,
    current: z.boolean(),
    activeSessions: z.int(),
  })
  .meta({ id: 'Device' });
export type DeviceView = z.infer<typeof DeviceView>;

export const DeviceList = z.object({ items: z.array(DeviceView) });

/** @param live the user's live sessions */
export function deviceViewOf(
  { browser, os, ip, country, firstSeenAt, lastSeenAt, ...device }: DeviceRecord,
  current: SessionSnapshot,
  live: SessionSnapshot[],
): DeviceView {
  return {
    ...device,
    ...(browser && { browser }),
    ...(os && { os }),
    ...(ip && { ip }),
    ...(country && { country }),
    firstSeenAt: firstSeenAt.toISOString(),
    lastSeenAt: lastSeenAt.toISOString(),
    current: device.id === current.device.id,
    activeSessions: live.filter((session) => session.device.id === device.id).length,
  };
}
