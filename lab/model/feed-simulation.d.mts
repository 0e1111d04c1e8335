export interface Plan {
  instances: number;
  regions?: number;
  path?: 'listen' | 'poll' | 'relay';
  rate: number;
  seconds?: number;
  cores?: number;
  lost?: number;
  cut?: { share: number; from: number; to: number };
  away?: number;
  commitMs?: number;
  seed?: number;
  cursor?: 'xmin' | 'seq';
  proof?: 'carried' | 'own';
}

/** Times in milliseconds. */
export interface Outcome {
  revocations: number;
  /** The number of expected deliveries: revocations × instances; and of actual ones. */
  wanted: number;
  applied: number;
  /** Deliveries more than 5 s after the commit. */
  late: number;
  /** Deliveries to an instance that had claimed to know everything from after the commit. */
  lies: number;
  /** Sum over all instances. */
  blindMs: number;
  polls: number;
  rows: number;
  p50: number;
  p99: number;
  max: number;
  turnP99: number;
  committedPerSecond: number;
  pollsPerSecond: number;
  databaseCores: number;
}

export function simulate(plan: Plan): Outcome;
