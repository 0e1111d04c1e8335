import { MEASURED } from './measured.mjs';

const of = (name) => MEASURED[name].value;
const DAY = 86_400;

/**
 * Assumptions about users. Change those that differ from yours: `npm run scale:model -- --visits 4 --own-work
 * 3000`.
 */
export const ACTIVITY = {
  /** Live sessions of one user. */
  sessionsPerUser: 1.5,
  /** Days from a login to the end of its session, on average. */
  lifeDays: 30,
  /** Share of all live sessions that are used in the busiest hour. */
  activeInPeakHour: 0.05,
  /** Visits of such a session in that hour, so far apart that its access token has died in between. */
  visits: 2,
  /** The duration of a visit in seconds, and its number of requests. */
  visitSeconds: 300,
  requestsPerVisit: 30,
  /** The share of all requests that need a token; the rest is public. */
  accessShare: 0.75,
  sessionShare: 0.18,
  strictShare: 0.02,
  /** The busiest hour relative to the average one, for logins and ends. */
  peak: 3,
  /** Share of sessions that end before their time (logout, limit, password, admin); the others expire. */
  endedByHand: 0.5,
  /** Share of logins on a device that was not known. */
  newDevice: 0.1,
  /** Session checks that share a round trip. 1 is the worst; under full load many do. */
  checksPerTurn: 1,
  /** µs of CPU of your own code for a request, on top of ours. */
  ownWork: 1_000,
  /** Days for which the audit log is kept: `npm run audit:prune`. */
  auditDays: 90,
};

/** Settings of Drawbridge and of the stores that the arithmetic follows. Seconds, unless noted. */
export const SETTINGS = {
  accessTokenTtl: 900,
  cacheLease: 30,
  lastSeenResolution: 60,
  lastSeenFlush: 10,
  sessionRetentionDays: 30,
  longestSessionDays: 400,
  /** The lifetime of an access token, and a minute for clock differences. */
  denialSeconds: 960,
  checkPool: 3,
  revocationPool: 2,
  databasePoolSize: 10,
  feedConnections: 1,
  housekeepingInterval: 600,
  sealInterval: 10,
  sealWindow: 600,
  /** Events in one entry of the audit hash chain. */
  mostSealed: 10_000,
  /** The maximal load of a core. */
  utilisation: 0.5,
  checkpoint: 900,
  page: 8_192,
  /** The duration of a commit in milliseconds; commits that notify are serialised. */
  commitMs: 1,
  mostCounted: 10_001,
  /** The maximal number of instances that follow PostgreSQL: today each one does. */
  followers: Infinity,
};

/** Two settings. */
export const REMEDIED = {
  ...SETTINGS,
  databasePoolSize: 4,
  lastSeenResolution: 900,
};

/**
 * The load of today's code with so many live sessions in the busiest hour, on one PostgreSQL and one Redis of any
 * size.
 */
export function loadOf(sessions, activity = ACTIVITY, settings = SETTINGS) {
  const a = { ...ACTIVITY, ...activity };
  const s = { ...SETTINGS, ...settings };

  // --- Arrivals per second
  const visits = (sessions * a.activeInPeakHour * a.visits) / 3_600;
  const requests = visits * a.requestsPerVisit;
  const refreshes = visits * Math.max(1, a.visitSeconds / (0.9 * s.accessTokenTtl)); // clients refresh after nine tenths of the lifetime
  const loginsPerDay = sessions / a.lifeDays;
  const logins = (loginsPerDay / DAY) * a.peak;
  const revocations = logins * a.endedByHand;
  const auditEvents = logins * 2;

  // --- Session checks: a cached session is valid for a lease after its read, and nothing extends it
  const checks = requests * a.sessionShare;
  const perSession = (a.requestsPerVisit * a.sessionShare) / a.visitSeconds;
  const hitShare = (s.cacheLease * perSession) / (1 + s.cacheLease * perSession);
  const misses = checks * (1 - hitShare);
  const strict = requests * a.strictShare;
  const reads = misses + strict;
  const readCpu = of('readInBatch') + (of('read') - of('readInBatch')) / a.checksPerTurn;

  // --- Last-seen marks: each authenticated request makes one, which is written when the previous one is old enough
  const authentic = a.accessShare + a.sessionShare + a.strictShare;
  const seenPerSession = (a.requestsPerVisit * authentic) / a.visitSeconds;
  const marks = (visits * a.visitSeconds * seenPerSession) / (1 + s.lastSeenResolution * seenPerSession);

  // --- Instances
  const publicShare = 1 - authentic;
  const tierCpu =
    publicShare * of('publicRequest') +
    a.accessShare * of('accessRequest') +
    a.sessionShare * of('sessionRequest') +
    a.strictShare * of('strictRequest');
  const ours =
    (requests * tierCpu +
      refreshes * of('refreshOwn') +
      logins * of('loginOwn') +
      revocations * of('revocationOwn')) /
    1e6;
  const cores = ours + (requests * a.ownWork) / 1e6;
  const instances = Math.max(2, Math.ceil(cores / s.utilisation));

  // An instance merges the uses of a session within one flush; the requests of a session reach any instance.
  const inOneFlush = (s.lastSeenFlush * seenPerSession) / instances;
  const noted = (requests * authentic * (1 - Math.exp(-inOneFlush))) / inOneFlush;

  // --- The feed: each notification triggers a poll of each instance, and each also polls once a second
  const followers = Math.min(instances, s.followers);
  const polls = followers * (1 + revocations);
  const openTransactions = 0.004 * revocations;
  const feedCpu =
    (polls * (of('poll') + (1 + openTransactions) * of('notice')) + followers * revocations * of('wake')) /
    1e6;
  const denials = revocations * s.denialSeconds;

  // --- Jobs of one instance for all: they start once an interval, even if the previous run has not ended
  const walk = (sessions * of('housekeeping')) / 1e6;
  const housekeepingCpu = walk / s.housekeepingInterval;
  const sealedEvents = auditEvents * s.sealWindow;
  const turnsInWindow = s.sealWindow / s.sealInterval;
  const sealsOfTurn = Math.max(1, sealedEvents / turnsInWindow / s.mostSealed);
  const seals = Math.min(sealedEvents, turnsInWindow * sealsOfTurn);
  const sealSeconds = (sealedEvents * seals * of('seal')) / 1e6;
  const sealCpu = Math.min(1, (sealsOfTurn * sealSeconds) / s.sealInterval); // the instances take turns

  // --- PostgreSQL
  const actsCpu =
    (reads * readCpu +
      refreshes * of('refresh') +
      logins * of('login') +
      revocations * of('revocation') +
      marks * of('mark') +
      (noted - marks) * of('freshMark')) /
    1e6;
  const idleCpu = (instances * of('idleInstance')) / 1e6;
  const databaseCpu = actsCpu + feedCpu + housekeepingCpu + sealCpu + idleCpu;
  const writes = refreshes + logins * 4 + revocations * 4 + marks;
  const transactions = refreshes + logins + revocations + instances / s.lastSeenFlush;

  // --- Rows and bytes
  const sessionRows = sessions + loginsPerDay * s.sessionRetentionDays;
  const users = sessions / a.sessionsPerUser;
  const devices = Math.max(users, loginsPerDay * a.newDevice * s.longestSessionDays);
  const auditRows = loginsPerDay * 2 * a.auditDays;
  const revocationRows = loginsPerDay * a.endedByHand * s.sessionRetentionDays;
  const storage =
    sessionRows * (of('sessionRow') + of('sessionIndexes')) +
    users * of('userRow') +
    devices * of('deviceRow') +
    auditRows * of('auditRow') +
    revocationRows * of('revocationRow');

  // --- Write-ahead log: records, and the image of each page at its first change after a checkpoint
  const records =
    refreshes * of('refreshWal') +
    logins * of('loginWal') +
    revocations * of('revocationWal') +
    marks * of('markWal');
  const touched = (rows, bytes, perSecond) => {
    const pages = Math.max(1, (rows * bytes) / s.page);
    return pages * (1 - Math.exp(-(perSecond * s.checkpoint) / pages));
  };
  const images =
    touched(sessionRows, of('sessionRow'), visits) + // the refresh and the marks of one visit change one page
    touched(users, of('userRow'), logins + revocations) + // the lock of a user is written to the row
    6 * logins * s.checkpoint; // a login inserts into indexes in random order
  const wal = records + (images * s.page) / s.checkpoint;
  const iops = images / s.checkpoint + transactions; // without the savings of simultaneous commits, and without reads

  // --- Redis
  const tellings = revocations;
  const roundTrips = checks / a.checksPerTurn;
  const commands =
    2 * roundTrips +
    2 * misses +
    2 * tellings +
    refreshes * of('refreshCommands') +
    logins * of('loginCommands') +
    2 * instances;
  const redisCpu =
    (roundTrips * of('mget') +
      misses * of('fill') +
      (commands - 2 * roundTrips - 2 * misses) * of('command')) /
    1e6;
  const windows = refreshes * 60 + (refreshes + logins) * 600; // counters of tokens and, at worst, as many addresses
  const redisBytes = misses * s.cacheLease * of('verdict') + (tellings * 32 + windows) * 120;

  return {
    sessions,
    requests,
    refreshes,
    logins,
    revocations,
    auditEvents,
    checks,
    hitShare,
    reads,
    marks,
    noted,
    ours,
    cores,
    instances,
    polls,
    feedCpu,
    denials,
    denialBytes: denials * of('denial'),
    bootSeconds: of('boot') + denials * of('bootEach'),
    feedBytesPerInstance: revocations * of('noticeBytes'),
    connections: instances * (s.checkPool + s.revocationPool + s.databasePoolSize + s.feedConnections),
    walk,
    housekeepingCpu,
    sealSeconds,
    sealCpu,
    actsCpu,
    idleCpu,
    databaseCpu,
    writes,
    transactions,
    sessionRows,
    users,
    devices,
    auditRows,
    revocationRows,
    storage,
    records,
    images,
    wal,
    iops,
    commands,
    redisCpu,
    redisBytes,
    notifyShare: (revocations * s.commitMs) / 1_000,
    countSeconds: (Math.min(sessions, s.mostCounted) * of('count')) / 1e6,
    /** The sweep pauses for two thirds of the time, so that other requests are not delayed. */
    sweepSeconds: (3 * sessions * of('sweep')) / 1e6,
  };
}

/**
 * The limits: the resource, the value at which it saturates, and the remedy. `today` needs no change of code.
 * @type {{ what: string, of: (load: ReturnType<typeof loadOf>) => number, limit: number, unit: string, remedy:
 * string, today: boolean }[]}
 */
export const LIMITS = [
  {
    what: 'connections, with the default `max_connections`',
    of: (load) => load.connections,
    limit: 97,
    unit: 'of 97',
    remedy: '`max_connections = 500`, `DATABASE_POOL_SIZE=4`: 49 instances',
    today: true,
  },
  {
    what: 'connections, with 500 and pools of 4',
    of: (load) => load.instances * 10,
    limit: 497,
    unit: 'of 497',
    remedy: 'PgBouncer for the pools; a new setting lets the feed connect directly',
    today: false,
  },
  {
    what: 'one batch of the audit hash chain',
    of: (load) => load.sealSeconds,
    limit: 10,
    unit: 's, then the statement times out',
    remedy: 'a look-back shorter than ten minutes; a second cell',
    today: false,
  },
  {
    what: 'housekeeping: one run takes as long as its interval',
    of: (load) => load.housekeepingCpu,
    limit: 1,
    unit: 'core',
    remedy: 'not needed: the next instance starts in parallel; or a second cell',
    today: true,
  },
  {
    what: 'polls of the feed',
    of: (load) => load.feedCpu,
    limit: 4,
    unit: 'cores',
    remedy: 'a feed relay for each region; or a second cell',
    today: false,
  },
  {
    what: 'reads, refreshes, logins, last-seen marks',
    of: (load) => load.actsCpu,
    limit: 16,
    unit: 'cores, half of 32',
    remedy: '`LAST_SEEN_RESOLUTION=15m`; then a second cell',
    today: false,
  },
  {
    what: 'transaction ids: a forced vacuum of all tables each day',
    of: (load) => (load.transactions * DAY) / ACTIVITY.peak / 1e6,
    limit: 200,
    unit: 'M a day',
    remedy: '`autovacuum_freeze_max_age = 1000000000`; partitions by time',
    today: true,
  },
  {
    what: 'write-ahead log',
    of: (load) => load.wal / 1e6,
    limit: 100,
    unit: 'MB/s',
    remedy: '`wal_compression`, less frequent checkpoints; then a second cell',
    today: true,
  },
  {
    what: 'tables and indexes',
    of: (load) => load.storage / 1e12,
    limit: 2,
    unit: 'TB',
    remedy: '`npm run audit:prune`; partitions by time; then a second cell',
    today: true,
  },
  {
    what: 'the single thread of Redis',
    of: (load) => load.redisCpu,
    limit: 0.6,
    unit: 'of a core',
    remedy: 'a Redis Cluster: `REDIS_URL` with several nodes',
    today: true,
  },
  {
    what: 'memory of Redis',
    of: (load) => load.redisBytes / 1e9,
    limit: 8,
    unit: 'GB',
    remedy: 'a Redis Cluster',
    today: true,
  },
  {
    what: 'commits with NOTIFY, which run one after the other',
    of: (load) => load.notifyShare,
    limit: 0.5,
    unit: 'of the time',
    remedy: 'a feed relay that polls every 5 ms instead of NOTIFY; then a second cell',
    today: false,
  },
  {
    what: 'boot: reading the denial list of the last 16 minutes',
    of: (load) => load.bootSeconds,
    limit: 10,
    unit: 's',
    remedy: 'a feed relay that sends the complete list; a second cell',
    today: false,
  },
];

/** The number of live sessions at which a limit is reached; Infinity above ten thousand million. */
export function sessionsAt({ of: measure, limit }, activity, settings) {
  const over = (sessions) => measure(loadOf(sessions, activity, settings)) >= limit;
  let [low, high] = [1_000, 1e10];
  if (!over(high)) return Infinity;
  while (high / low > 1.001) {
    const middle = Math.sqrt(low * high);
    if (over(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/**
 * Many independent databases, each with its users, its Redis and its instances.
 * @param {number} perCell live sessions in each
 */
export function cellsOf(sessions, perCell, activity, settings = REMEDIED) {
  const cells = Math.max(1, Math.ceil(sessions / perCell));
  return { cells, each: loadOf(sessions / cells, activity, settings) };
}

/** In the order in which growth reaches them. */
export function limitsInOrder(activity, settings) {
  return LIMITS.map((limit) => ({ ...limit, sessions: sessionsAt(limit, activity, settings) })).sort(
    (a, b) => a.sessions - b.sessions,
  );
}
