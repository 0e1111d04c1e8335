import { createHash } from 'node:crypto';
import type { Principal } from '../../common/request.js';
import type { Role } from '../../common/roles.js';

/** Who sees a feature: a role, or a share of all users, always the same ones. */
const FLAGS: Record<string, { role: Role } | { percent: number }> = {
  newDashboard: { percent: 50 },
  darkMode: { percent: 100 },
  bulkExport: { role: 'admin' },
};

export function flagsFor({ userId, roles }: Pick<Principal, 'userId' | 'roles'>): Record<string, boolean> {
  return Object.fromEntries(
    Object.entries(FLAGS).map(([flag, rule]) => [
      flag,
      'role' in rule ? roles.includes(rule.role) : bucketOf(flag, userId) < rule.percent,
    ]),
  );
}

/** 0 to 99, stable per flag and user. */
function bucketOf(flag: string, userId: string): number {
  return createHash('sha256').update(`${flag}:${userId}`).digest().readUInt32BE() % 100;
}
