/**
 * The measurements behind the model of docs/evidence/scale.md, each with its unit and source. `sizing` is `npm run bench -- sizing`
 * (200,000 sessions, AMD EPYC, Node 20.20, PostgreSQL 15.20, Redis 7.0); `benchmarks` is docs/evidence/benchmarks.md as it was then.
 * CPU is that of the named process, one at a time and without waiting for disks; another machine has other figures.
 */
export const MEASURED = {
  // --- CPU of an instance, µs
  publicRequest: { value: 57, unit: 'µs', where: 'an earlier run of `guards` on a slower core' },
  accessRequest: { value: 66, unit: 'µs', where: 'the same run' },
  sessionRequest: {
    value: 66,
    unit: 'µs',
    where: 'the same run: 55 when many share a turn; assumed equal to the access tier',
  },
  strictRequest: { value: 66, unit: 'µs', where: 'the same run: 62; assumed equal to the access tier' },
  refreshOwn: {
    value: 831,
    unit: 'µs',
    where: 'an earlier run of `refresh` on a slower core: 1,203 per second and core',
  },
  loginOwn: { value: 24_150, unit: 'µs', where: 'sizing: a login on a new device, argon2id included' },
  revocationOwn: { value: 3_880, unit: 'µs', where: 'sizing: an admin ends a session' },

  // --- CPU of PostgreSQL, µs
  read: {
    value: 128,
    unit: 'µs',
    where: 'sizing: a session read by its id, one per prepared statement',
  },
  readInBatch: { value: 29, unit: 'µs', where: 'sizing: the same, 20 in one statement' },
  refresh: { value: 458, unit: 'µs', where: 'sizing: a refresh' },
  login: { value: 4_033, unit: 'µs', where: 'sizing: a login on a new device' },
  revocation: { value: 2_450, unit: 'µs', where: 'sizing: an admin ends a session' },
  mark: { value: 10, unit: 'µs', where: 'sizing: a last-seen mark, 500 in one statement' },
  freshMark: {
    value: 6,
    unit: 'µs',
    where: 'sizing: a mark that is recent enough, so that nothing is written',
  },
  poll: { value: 113, unit: 'µs', where: 'sizing: a poll of the feed that finds nothing' },
  notice: { value: 4.6, unit: 'µs', where: 'sizing: each notice that a poll finds' },
  wake: { value: 27, unit: 'µs', where: 'sizing: a notification, for each listener' },
  idleInstance: {
    value: 2_000,
    unit: 'µs per second',
    where: 'sizing: one idle instance (6.6 statements a second)',
  },
  housekeeping: {
    value: 2.6,
    unit: 'µs',
    where: 'sizing: housekeeping, per live session: 1.9; 2.6 if all are older than an admin session may be',
  },
  count: {
    value: 0.98,
    unit: 'µs',
    where: 'sizing: the count of remaining sessions, for each counted session',
  },
  sweep: {
    value: 59,
    unit: 'µs',
    where: 'sizing: the sweep of a global logout, per record; one batch at a time',
  },
  seal: {
    value: 0.053,
    unit: 'µs',
    where: 'sizing: the audit hash chain, per pair of an event and a chain entry of the last ten minutes',
  },

  // --- Bytes
  sessionRow: { value: 631, unit: 'B', where: 'sizing; fillfactor 80 and free space included' },
  sessionIndexes: { value: 222, unit: 'B', where: 'sizing; seven indexes' },
  userRow: {
    value: 398,
    unit: 'B',
    where: 'sizing: 301, plus 97 for a password hash, which those rows lacked',
  },
  deviceRow: { value: 292, unit: 'B', where: 'sizing, indexes included' },
  revocationRow: { value: 196, unit: 'B', where: 'sizing, indexes included' },
  auditRow: { value: 401, unit: 'B', where: 'sizing, indexes included' },
  refreshWal: { value: 684, unit: 'B', where: 'sizing, without page images' },
  loginWal: { value: 2_462, unit: 'B', where: 'sizing, without page images' },
  revocationWal: { value: 2_024, unit: 'B', where: 'sizing, without page images' },
  markWal: { value: 145, unit: 'B', where: 'sizing, without page images' },
  noticeBytes: { value: 172, unit: 'B', where: 'sizing: a notice on the wire' },
  verdict: { value: 357, unit: 'B', where: 'npm run bench -- scale: share of the total memory of Redis' },
  denial: { value: 189, unit: 'B', where: 'benchmarks, denial list of 1,000,000' },

  // --- Redis, µs of its one thread; commands
  mget: { value: 3.2, unit: 'µs', where: 'sizing: MGET of one and INFO' },
  fill: { value: 16.6, unit: 'µs', where: 'sizing: a lease and a fill' },
  command: { value: 3.1, unit: 'µs', where: 'sizing: INFO alone, assumed for every simple command' },
  loginCommands: { value: 23, unit: '', where: 'sizing: counters of attempts and limits' },
  refreshCommands: { value: 8, unit: '', where: 'sizing: counters of limits' },

  // --- Times
  boot: {
    value: 1.5,
    unit: 's',
    where: 'an earlier run of `revocation` on a slower core: ready with 10,000 live revocations',
  },
  bootEach: { value: 7.7e-6, unit: 's', where: 'the same run: 9.2 s with 1,000,000' },
};

/**
 * Commit to refusal with so many instances, and commit to delivery with so many feeds in one process: milliseconds.
 */
export const LATENCIES = [
  {
    what: 'two instances (an earlier run of `revocation`)',
    instances: 2,
    cores: 2,
    p50: 1.5,
    p99: 5,
    max: 7.4,
  },
  {
    what: '10 feeds (`npm run bench -- followers`)',
    instances: 10,
    cores: 1,
    p50: 1.3,
    p99: 4.6,
    max: 5.1,
  },
  { what: '50 feeds', instances: 50, cores: 1, p50: 2.4, p99: 13.2, max: 15.4 },
  { what: '150 feeds', instances: 150, cores: 1, p50: 0.2, p99: 33.4, max: 37.7 },
];
