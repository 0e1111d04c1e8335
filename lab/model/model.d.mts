export type Activity = Record<
  | 'sessionsPerUser'
  | 'lifeDays'
  | 'activeInPeakHour'
  | 'visits'
  | 'visitSeconds'
  | 'requestsPerVisit'
  | 'accessShare'
  | 'sessionShare'
  | 'strictShare'
  | 'peak'
  | 'endedByHand'
  | 'newDevice'
  | 'checksPerTurn'
  | 'ownWork'
  | 'auditDays',
  number
>;
export type ModelSettings = Record<
  | 'accessTokenTtl'
  | 'cacheLease'
  | 'lastSeenResolution'
  | 'lastSeenFlush'
  | 'sessionRetentionDays'
  | 'longestSessionDays'
  | 'denialSeconds'
  | 'checkPool'
  | 'revocationPool'
  | 'databasePoolSize'
  | 'feedConnections'
  | 'housekeepingInterval'
  | 'sealInterval'
  | 'sealWindow'
  | 'utilisation'
  | 'checkpoint'
  | 'page'
  | 'commitMs'
  | 'mostSealed'
  | 'mostCounted'
  | 'followers',
  number
>;
export type Load = Record<string, number>;

export const ACTIVITY: Activity;
export const SETTINGS: ModelSettings;
export const REMEDIED: ModelSettings;
export function loadOf(
  sessions: number,
  activity?: Partial<Activity>,
  settings?: Partial<ModelSettings>,
): Load;
export interface Limit {
  what: string;
  of: (load: Load) => number;
  limit: number;
  unit: string;
  remedy: string;
  today: boolean;
}
export const LIMITS: Limit[];
export function sessionsAt(
  limit: Limit,
  activity?: Partial<Activity>,
  settings?: Partial<ModelSettings>,
): number;
export function limitsInOrder(activity?: Partial<Activity>): (Limit & { sessions: number })[];
export function cellsOf(
  sessions: number,
  perCell: number,
  activity?: Partial<Activity>,
): { cells: number; each: Load };
