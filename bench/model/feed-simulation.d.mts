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
  /** How often one was to be learned: revocations × instances; and was. */
  wanted: number;
  applied: number;
  /** More than 5 s after its commit. */
  late: number;
  /** By one that had claimed to know everything from after its commit. */
  lies: number;
  /** Of all instances together. */
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
