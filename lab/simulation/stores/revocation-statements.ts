import type { RevocationKind } from '../../../src/sessions/revocation/revocation.entity.js';
import { Revocation } from '../../../src/sessions/revocation/revocation.entity.js';
import type { RevocationRow, SimulatedPostgres, Transaction } from './simulated-postgres.js';
import type { Statement } from './statement.js';

type NewRevocation = [
  kind: RevocationKind,
  subjects: string[],
  tokenId: string | null,
  reason: string,
  notBefore: Date | null,
  endedSessions: number,
  createdAt: Date,
  expiresAt: Date,
];

/** The statements of revocations, of their feed, and of the end of everyone's sessions. */
export const revocationStatements: Statement[] = [
  { text: 'pg_advisory_xact_lock_shared', lock: () => 'shared epoch' },
  { text: 'pg_advisory_xact_lock(', lock: () => 'epoch' },
  { text: 'pg_notify' },
  { text: 'select clock_timestamp()', run: ({ clock }) => [{ now: new Date(clock.time) }] },
  { text: 'update session_epoch', run: moveEpoch },
  { text: 'insert into revocations', run: insert },
  {
    text: 'select seq from revocations where applied_at is null',
    run: ({ revocations }, [before]: [string]) =>
      revocations
        .filter(({ appliedAt, seq }) => appliedAt === null && BigInt(seq) < BigInt(before))
        .map(({ seq }) => ({ seq })),
  },
  {
    text: 'update revocations set applied_at',
    run: (postgres, [seq]: [string]) => {
      const row = rowOf(postgres, seq);
      row.appliedAt = new Date(postgres.clock.time);
      return [[{ applied_at: row.appliedAt }], 1];
    },
  },
  {
    text: 'select ended_sessions from revocations',
    lock: (seq: string) => `sweep ${seq}`,
    run: (postgres, [seq]: [string]) => [{ ended_sessions: rowOf(postgres, seq).endedSessions }],
  },
  {
    text: 'update revocations set ended_sessions',
    run: (postgres, [seq, ended]: [string, number], { writes }) =>
      writes.push(() => (rowOf(postgres, seq).endedSessions = ended)),
  },
  { text: 'as start', run: (postgres) => [{ start: String(startOfFeed(postgres)) }] },
  { text: 'as horizon', run: page },
];

function rowOf(postgres: SimulatedPostgres, seq: string): RevocationRow {
  return postgres.revocations.find((row) => row.seq === seq)!;
}

function moveEpoch(postgres: SimulatedPostgres, [now]: [Date], { writes }: Transaction) {
  const sessions = [...postgres.sessions.values()].map(({ snapshot }) => snapshot.createdAt);
  const notBefore = Math.max(postgres.epoch, now.getTime(), ...sessions);
  writes.push(() => (postgres.epoch = notBefore));
  return [[{ not_before: new Date(notBefore) }], 1];
}

function insert(postgres: SimulatedPostgres, values: NewRevocation, { xid, writes }: Transaction) {
  const [kind, subjects, tokenId, reason, notBefore, endedSessions, createdAt, expiresAt] = values;
  const what = { kind, subjects, tokenId, reason, notBefore, endedSessions, createdAt, expiresAt };
  const seq = String(postgres.nextSeq++);
  writes.push(() => {
    postgres.revocations.push(Object.assign(new Revocation(), { ...what, seq, appliedAt: null, xid }));
    postgres.notify();
  });
  return [{ seq }];
}

function oldestOpen({ open, nextXid }: SimulatedPostgres): bigint {
  return [...open].reduce((least, { xid }) => (xid < least ? xid : least), nextXid);
}

function unexpired({ revocations, clock }: SimulatedPostgres): RevocationRow[] {
  return revocations.filter(({ expiresAt }) => expiresAt.getTime() > clock.time);
}

function startOfFeed(postgres: SimulatedPostgres): bigint {
  return unexpired(postgres).reduce((least, { xid }) => (xid < least ? xid : least), oldestOpen(postgres));
}

function page(postgres: SimulatedPostgres, [xid, seq]: [string, string]) {
  const after = unexpired(postgres).filter(
    (row) => row.xid > BigInt(xid) || (row.xid === BigInt(xid) && Number(row.seq) > Number(seq)),
  );
  return [
    {
      cursor: String(oldestOpen(postgres)),
      horizon: String(postgres.nextXid),
      now: postgres.clock.time,
      newest: String(Math.max(0, ...postgres.revocations.map((row) => Number(row.seq)))),
      last: String(postgres.nextSeq - 1),
      next: null,
      notices: JSON.stringify(
        after.map(({ kind, subjects, tokenId, reason, notBefore, createdAt, expiresAt, seq: number }) => [
          kind,
          subjects,
          tokenId,
          reason,
          notBefore?.getTime() ?? null,
          createdAt.getTime(),
          expiresAt.getTime(),
          Number(number),
        ]),
      ),
    },
  ];
}
