/**
 * What the model of docs/scale.md rests on: each with its unit and where it was measured. `sizing` is `npm run bench -- sizing`
 * (200,000 sessions, AMD EPYC, Node 20.20, PostgreSQL 15.20, Redis 7.0); `benchmarks` is docs/benchmarks.md as it was then.
 * CPU is that of the named process, one at a time and without waiting for disks; another machine has other figures.
 */
export const MEASURED = {
  // --- CPU of an instance, µs
  publicRequest: { value: 57, unit: 'µs', where: 'an earlier run of `guards` on a slower core' },
  accessRequest: { value: 66, unit: 'µs', where: 'the same run' },
  sessionRequest: {
    value: 66,
    unit: 'µs',
    where: 'the same run: 55 where many share a turn; taken as access',
  },
  strictRequest: { value: 66, unit: 'µs', where: 'the same run: 62; taken as the access tier' },
  refreshOwn: {
    value: 831,
    unit: 'µs',
    where: 'an earlier run of `refresh` on a slower core: 1,203 a second and core',
  },
  loginOwn: { value: 24_150, unit: 'µs', where: 'sizing: a login on a new device, argon2id within' },
  revocationOwn: { value: 3_880, unit: 'µs', where: 'sizing: the end of a session by an admin' },

  // --- CPU of PostgreSQL, µs
  read: {
    value: 128,
    unit: 'µs',
    where: 'sizing: a session read by its id, one in a statement that is planned already',
  },
  readInBatch: { value: 29, unit: 'µs', where: 'sizing: the same, 20 in one statement' },
  refresh: { value: 458, unit: 'µs', where: 'sizing: a refresh' },
  login: { value: 4_033, unit: 'µs', where: 'sizing: a login on a new device' },
  revocation: { value: 2_450, unit: 'µs', where: 'sizing: the end of a session by an admin' },
  mark: { value: 10, unit: 'µs', where: 'sizing: a last-seen mark, 500 in one statement' },
  freshMark: { value: 6, unit: 'µs', where: 'sizing: one that is fresh enough' },
  poll: { value: 113, unit: 'µs', where: 'sizing: a poll of the feed that finds nothing' },
  notice: { value: 4.6, unit: 'µs', where: 'sizing: each notice that a poll finds' },
  wake: { value: 27, unit: 'µs', where: 'sizing: a notification for each that listens' },
  idleInstance: {
    value: 2_000,
    unit: 'µs a second',
    where: 'sizing: one idle instance (6.6 statements a second)',
  },
  housekeeping: {
    value: 2.6,
    unit: 'µs',
    where: 'sizing: housekeeping, for each live session: 1.9; 2.6 where all are older than an admin may be',
  },
  count: { value: 0.98, unit: 'µs', where: 'sizing: the count of who is left, for each that it counts' },
  sweep: {
    value: 59,
    unit: 'µs',
    where: 'sizing: the end of everyone, for each record; one batch at a time',
  },
  seal: {
    value: 0.053,
    unit: 'µs',
    where: 'sizing: a seal, for each pair of an event and a seal of the last ten minutes',
  },

  // --- Bytes
  sessionRow: { value: 631, unit: 'B', where: 'sizing; fillfactor 80 and free space within' },
  sessionIndexes: { value: 222, unit: 'B', where: 'sizing; seven indexes' },
  userRow: {
    value: 398,
    unit: 'B',
    where: 'sizing: 301, and 97 of a password hash that those rows did not have',
  },
  deviceRow: { value: 292, unit: 'B', where: 'sizing, indexes within' },
  revocationRow: { value: 196, unit: 'B', where: 'sizing, indexes within' },
  auditRow: { value: 401, unit: 'B', where: 'sizing, indexes within' },
  refreshWal: { value: 684, unit: 'B', where: 'sizing, without page images' },
  loginWal: { value: 2_462, unit: 'B', where: 'sizing, without page images' },
  revocationWal: { value: 2_024, unit: 'B', where: 'sizing, without page images' },
  markWal: { value: 145, unit: 'B', where: 'sizing, without page images' },
  noticeBytes: { value: 172, unit: 'B', where: 'sizing: a notice on the wire' },
  verdict: { value: 357, unit: 'B', where: 'npm run bench -- scale: of all memory of Redis' },
  denial: { value: 189, unit: 'B', where: 'benchmarks, denial list of 1,000,000' },

  // --- Redis, µs of its one thread; commands
  mget: { value: 3.2, unit: 'µs', where: 'sizing: MGET of one and INFO' },
  fill: { value: 16.6, unit: 'µs', where: 'sizing: a lease and a fill' },
  command: { value: 3.1, unit: 'µs', where: 'sizing: INFO alone, taken for any plain command' },
  loginCommands: { value: 23, unit: '', where: 'sizing: counters of guesses and limits' },
  refreshCommands: { value: 8, unit: '', where: 'sizing: counters of limits' },

  // --- Times
  boot: {
    value: 1.5,
    unit: 's',
    where: 'an earlier run of `revocation` on a slower core: ready with 10,000 live revocations',
  },
  bootEach: { value: 7.7e-6, unit: 's', where: 'the same run: 9.2 s with 1,000,000' },
};

/** Commit to refusal with so many instances, and commit to heard with so many feeds in one process: milliseconds. */
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
