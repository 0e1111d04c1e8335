/**
 * What the model of docs/scale.md rests on: each with its unit and where it was measured. `sizing` is `npm run bench -- sizing`
 * (200,000 sessions, AMD EPYC, Node 20.20, PostgreSQL 15.20, Redis 7.0); `benchmarks` is docs/benchmarks.md, same machine.
 * CPU is that of the named process, one at a time and without waiting for disks; another machine has other figures.
 */
export const MEASURED = {
  // --- CPU of an instance, µs
  publicRequest: { value: 57, unit: 'µs', where: 'benchmarks, tiers' },
  accessRequest: { value: 66, unit: 'µs', where: 'benchmarks, tiers' },
  sessionRequest: {
    value: 66,
    unit: 'µs',
    where: 'benchmarks, tiers: 55 where many share a turn; taken as access',
  },
  strictRequest: { value: 66, unit: 'µs', where: 'benchmarks, tiers: 62; taken as the access tier' },
  refreshOwn: { value: 1_136, unit: 'µs', where: 'benchmarks: 880 a second and core' },
  loginOwn: { value: 26_800, unit: 'µs', where: 'sizing: a login on a new device, argon2id within' },
  revocationOwn: { value: 4_200, unit: 'µs', where: 'sizing: the end of a session by an admin' },

  // --- CPU of PostgreSQL, µs
  read: {
    value: 550,
    unit: 'µs',
    where: 'sizing: a session read by its id, one in a statement; mostly planning',
  },
  readInBatch: { value: 44, unit: 'µs', where: 'sizing: the same, 20 in one statement' },
  refresh: { value: 1_775, unit: 'µs', where: 'sizing: a refresh' },
  login: { value: 4_567, unit: 'µs', where: 'sizing: a login on a new device' },
  revocation: { value: 2_625, unit: 'µs', where: 'sizing: the end of a session by an admin' },
  mark: { value: 11, unit: 'µs', where: 'sizing: a last-seen mark, 500 in one statement' },
  freshMark: { value: 6, unit: 'µs', where: 'sizing: one that is fresh enough' },
  poll: { value: 340, unit: 'µs', where: 'sizing: a poll of the feed that finds nothing' },
  notice: { value: 5.5, unit: 'µs', where: 'sizing: each notice that a poll finds' },
  wake: { value: 25, unit: 'µs', where: 'sizing: a notification for each that listens' },
  idleInstance: {
    value: 2_500,
    unit: 'µs a second',
    where: 'sizing: one idle instance (6.6 statements a second)',
  },
  housekeeping: { value: 15, unit: 'µs', where: 'sizing: housekeeping, for each live session' },
  count: { value: 0.41, unit: 'µs', where: 'sizing: the count of who is left, for each live session' },
  sweep: {
    value: 37,
    unit: 'µs',
    where: 'sizing: the end of everyone: 27,000 records a second, one batch at a time',
  },
  seal: {
    value: 0.053,
    unit: 'µs',
    where: 'sizing: a seal, for each pair of an event and a seal of the last ten minutes',
  },

  // --- Bytes
  sessionRow: { value: 631, unit: 'B', where: 'sizing; fillfactor 80 and free space within' },
  sessionIndexes: { value: 220, unit: 'B', where: 'sizing; seven indexes' },
  userRow: {
    value: 401,
    unit: 'B',
    where: 'sizing: 304, and 97 of a password hash that those rows did not have',
  },
  deviceRow: { value: 292, unit: 'B', where: 'sizing, indexes within' },
  revocationRow: { value: 196, unit: 'B', where: 'sizing, indexes within' },
  auditRow: { value: 401, unit: 'B', where: 'sizing, indexes within' },
  refreshWal: { value: 693, unit: 'B', where: 'sizing, without page images' },
  loginWal: { value: 2_627, unit: 'B', where: 'sizing, without page images' },
  revocationWal: { value: 2_072, unit: 'B', where: 'sizing, without page images' },
  markWal: { value: 145, unit: 'B', where: 'sizing, without page images' },
  noticeBytes: { value: 198, unit: 'B', where: 'sizing: a notice on the wire' },
  verdict: { value: 362, unit: 'B', where: 'npm run bench -- scale: of all memory of Redis' },
  denial: { value: 189, unit: 'B', where: 'benchmarks, denial list of 1,000,000' },
  instanceMemory: { value: 204e6, unit: 'B', where: 'benchmarks: an idle instance' },

  // --- Redis, µs of its one thread; commands
  mget: { value: 3.3, unit: 'µs', where: 'sizing: MGET of one and INFO' },
  fill: { value: 14.7, unit: 'µs', where: 'sizing: a lease and a fill' },
  command: { value: 2.4, unit: 'µs', where: 'sizing: INFO alone, taken for any plain command' },
  loginCommands: { value: 25, unit: '', where: 'sizing: counters of guesses and limits' },
  refreshCommands: { value: 8, unit: '', where: 'sizing: counters of limits' },

  // --- Times
  boot: { value: 1.5, unit: 's', where: 'benchmarks: ready with 10,000 live revocations' },
  bootEach: { value: 7.7e-6, unit: 's', where: 'benchmarks: 9.2 s with 1,000,000' },
};
