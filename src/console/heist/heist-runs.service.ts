import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { Clock, Problem, random } from '#core';
import type { Act } from './acts.js';
import type { HeistRun } from './heist-run.js';
import type { HeistStart } from './heist.schemas.js';

/** A run keeps stolen tokens of demo users, so the memory of it is short. */
const MAX_RUNS = 50;
const KEPT_FOR_MS = 10 * 60_000;

/** The runs of the demonstration, in the memory of this instance. */
@Injectable()
export class HeistRuns {
  private readonly runs: LRUCache<string, HeistRun>;

  constructor(clock: Clock) {
    this.runs = new LRUCache({ max: MAX_RUNS, ttl: KEPT_FOR_MS, perf: { now: () => clock.monotonic() } });
  }

  /**
   * @param host the host of the request, with its port: `localhost` or an address of this machine
   * @throws Problem `request.invalid` if the host is not on this machine, so no second site exists
   */
  start(act: Act, { victim, contentSecurityPolicy }: HeistStart, host: string): HeistRun {
    const run: HeistRun = {
      id: random.uuid(),
      act,
      victim,
      contentSecurityPolicy,
      victimOrigin: `http://${host}`,
      thiefOrigin: otherSite(host),
      loot: null,
      attempts: null,
      uses: [],
      requests: [],
      violations: [],
    };
    this.runs.set(run.id, run);
    return run;
  }

  find(id: string): HeistRun | undefined {
    return this.runs.get(id);
  }

  /** @throws Problem `resource.not_found` if there is no such run, or it is too old */
  get(id: string): HeistRun {
    const run = this.find(id);
    if (!run) throw new Problem('resource.not_found');
    return run;
  }
}

/**
 * The same server under a name of another site. Browsers compare sites by name (HTML, "schemeful same site"), so
 * `localhost` and `127.0.0.1` have nothing in common.
 */
export function otherSite(host: string): string {
  const { hostname, port } = new URL(`http://${host}`);
  const suffix = port && `:${port}`;
  if (hostname === 'localhost') return `http://127.0.0.1${suffix}`;
  if (hostname === '127.0.0.1') return `http://localhost${suffix}`;
  throw new Problem('request.invalid', { detail: 'Open this page at http://localhost or http://127.0.0.1.' });
}
