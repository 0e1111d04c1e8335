import { createHash } from 'node:crypto';
import type { Caller, Role } from '#core';

/** The users who see a feature: those with a role, or a percentage of all users. The selection is stable. */
const FLAGS: Record<string, { role: Role } | { percent: number }> = {
  newDashboard: { percent: 50 },
  darkMode: { percent: 100 },
  bulkExport: { role: 'admin' },
};

export function flagsFor({ userId, roles }: Pick<Caller, 'userId' | 'roles'>): Record<string, boolean> {
  return Object.fromEntries(
    Object.entries(FLAGS).map(([flag, rule]) => [
      flag,
      'role' in rule ? roles.includes(rule.role) : bucketOf(flag, userId) < rule.percent,
    ]),
  );
}

/** A number from 0 to 99 that is stable for each flag and user. */
function bucketOf(flag: string, userId: string): number {
  return createHash('sha256').update(`${flag}:${userId}`).digest().readUInt32BE() % 100;
}
