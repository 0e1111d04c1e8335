import type { LiveInstance } from './live-events.js';

/** The activity of all instances between two reports. */
export interface Activity {
  logins: number;
  /** By the code of the problem. */
  problems: Record<string, number>;
}

/**
 * The differences of the counters. An instance that was not in the report before adds nothing: its counters say nothing
 * about this second. A restarted instance has a new id.
 */
export function activityBetween(before: LiveInstance[] | null, after: LiveInstance[]): Activity {
  const activity: Activity = { logins: 0, problems: {} };
  for (const { id, counters } of after) {
    const last = before?.find((instance) => instance.id === id)?.counters;
    if (!last) continue;
    activity.logins += Math.max(0, counters.logins - last.logins);
    for (const [code, count] of Object.entries(counters.problems)) {
      const more = count - (last.problems[code] ?? 0);
      if (more > 0) activity.problems[code] = (activity.problems[code] ?? 0) + more;
    }
  }
  return activity;
}

/** The codes with the most problems first. */
export function problemCodesOf(activities: Activity[]): { code: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { problems } of activities)
    for (const [code, count] of Object.entries(problems)) counts.set(code, (counts.get(code) ?? 0) + count);
  return [...counts]
    .map(([code, count]) => ({ code, count }))
    .sort((a, b) => b.count - a.count || a.code.localeCompare(b.code));
}
