import type { InstanceReport, LiveInstance } from './live.schemas.js';

/** Four reports are missing: the instance has stopped, or cannot reach PostgreSQL. */
const SILENT_AFTER_MS = 4_000;
/** Long enough for an admin to see it, and for a restart. */
const FORGOTTEN_AFTER_MS = 60_000;
/** More instances are not shown. Each one sends a report each second. */
const MAX_INSTANCES = 64;

/** The instances as their last reports describe them. The caller gives the monotonic time, in milliseconds. */
export class InstanceBoard {
  private readonly heard = new Map<string, { report: InstanceReport; at: number }>();

  take(report: InstanceReport, now: number): void {
    if (this.heard.size < MAX_INSTANCES || this.heard.has(report.id))
      this.heard.set(report.id, { report, at: now });
  }

  /** The instances, the oldest first. */
  view(now: number): LiveInstance[] {
    for (const [id, { at }] of this.heard) if (now - at > FORGOTTEN_AFTER_MS) this.heard.delete(id);
    return [...this.heard.values()]
      .map(({ report: { isBlind, ...report }, at }): LiveInstance => {
        if (now - at > SILENT_AFTER_MS) return { ...report, state: 'silent' };
        return { ...report, state: isBlind ? 'blind' : 'current' };
      })
      .sort((a, b) => a.startedAt - b.startedAt || a.id.localeCompare(b.id));
  }
}
