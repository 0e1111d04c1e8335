import type { KeyEndReason } from '../../../src/auth/api-keys/api-key.js';
import type { Scope } from '../../../src/scopes.js';
import type { EndReason } from '../../../src/sessions/revocation/end-reason.js';
import { newKeyRow } from './records.js';
import type { SimulatedPostgres, Transaction } from './simulated-postgres.js';
import type { Statement } from './statement.js';

/** The parameters of a statement that ends credentials. */
export type End = [ids: string[], reason: string, at: Date, seq: string];

const sessions: Statement[] = [
  { text: 'with batch as', run: endBatchOfEveryone },
  {
    text: 'select count(*)::int from (',
    run: (postgres, [, notBefore]: [string, Date]) => [{ count: leftOf(postgres, notBefore).length }],
  },
  {
    text: 'select id, created_at from sessions',
    run: (postgres, [userId, only, except]: [string, string[] | null, string | null]) =>
      activeOf(postgres, userId)
        .filter(({ id }) => (only === null || only.includes(id)) && id !== except)
        .map(({ id, createdAt }) => ({ id, created_at: new Date(createdAt) })),
  },
  {
    text: `select id from sessions where user_id = $1 and status = 'active'`,
    run: (postgres, [userId]: [string]) => activeOf(postgres, userId).map(({ id }) => ({ id })),
  },
  {
    text: `select id from sessions where user_id = $1 and status = 'ended' and revocation_seq`,
    run: ({ sessions }, [userId, seqs]: [string, string[]]) =>
      [...sessions].flatMap(([id, { snapshot, revocationSeq }]) =>
        snapshot.userId === userId && revocationSeq !== null && seqs.includes(revocationSeq) ? [{ id }] : [],
      ),
  },
  {
    text: 'select user_id from sessions where id',
    run: ({ sessions }, [id]: [string]) => [{ user_id: sessions.get(id)!.snapshot.userId }],
  },
  {
    text: 'select revocation_seq from sessions where id',
    run: ({ sessions }, [id]: [string]) => {
      const { snapshot, revocationSeq } = sessions.get(id)!;
      return snapshot.ended ? [{ revocation_seq: revocationSeq }] : [];
    },
  },
  {
    text: 'update sessions set revocation_seq',
    run: ({ sessions }, [id, seq]: [string, string], { writes }) =>
      writes.push(() => (sessions.get(id)!.revocationSeq = seq)),
  },
  {
    text: 'select id from sessions where revocation_seq',
    run: ({ sessions }, [seq]: [string]) =>
      [...sessions].flatMap(([id, { revocationSeq }]) => (revocationSeq === seq ? [{ id }] : [])),
  },
  {
    text: `update sessions set status = 'ended'`,
    run: (postgres, [ids, reason, at, seq]: End, { writes }) =>
      writes.push(() => ids.forEach((id) => endSession(postgres, id, { reason, at, seq }))),
  },
];

const keys: Statement[] = [
  { text: 'insert into api_keys', run: insertKey },
  {
    text: 'select count(*)::int as count from api_keys',
    run: ({ keys }, [userId]: [string]) => [{ count: activeIn(keys, userId).length }],
  },
  { text: 'select user_id from api_keys', run: ({ keys }, [id]: [string]) => ownerIn(keys, id) },
  {
    text: 'select id from api_keys where user_id = $1 and revocation_seq',
    run: ({ keys }, [userId, seqs]: [string, string[]]) =>
      [...keys.values()]
        .filter(
          (key) => key.userId === userId && key.revocationSeq !== null && seqs.includes(key.revocationSeq),
        )
        .map(({ id }) => ({ id })),
  },
  {
    text: 'select id from api_keys where user_id',
    run: ({ keys }, [userId]: [string]) => activeIn(keys, userId),
  },
  {
    text: 'for update of k',
    run: (postgres, [id]: [string]) => [
      { ...postgres.key(id), revocationSeq: postgres.keys.get(id)!.revocationSeq },
    ],
  },
  { text: '"lastUsedAt"', run: (postgres, [, id]: [string, string]) => [postgres.key(id)] },
  { text: 'update api_keys set digest', run: rotateKey },
  {
    text: `update api_keys set status = 'ended'`,
    run: ({ keys }, [ids, reason, at, seq]: End, { writes }) =>
      writes.push(() => {
        for (const id of ids)
          Object.assign(keys.get(id)!, {
            ended: { reason: reason as KeyEndReason, at: at.getTime() },
            revocationSeq: seq,
          });
      }),
  },
];

/** The statements of sessions and API keys. */
export const credentialStatements: Statement[] = [...sessions, ...keys];

function activeOf(postgres: SimulatedPostgres, userId: string) {
  return postgres.activeSessions().filter((session) => session.userId === userId);
}

/** The rows of a user that have not ended. */
export function activeIn(
  table: Map<string, { id: string; userId: string; ended: object | null }>,
  userId: string,
) {
  return [...table.values()]
    .filter((row) => row.userId === userId && row.ended === null)
    .map(({ id }) => ({ id }));
}

/** The owner of a row. */
export function ownerIn(table: Map<string, { userId: string }>, id: string) {
  const row = table.get(id);
  return row ? [{ user_id: row.userId }] : [];
}

function leftOf(postgres: SimulatedPostgres, notBefore: Date) {
  return postgres.activeSessions().filter(({ createdAt }) => createdAt <= notBefore.getTime());
}

function endSession(
  { sessions }: SimulatedPostgres,
  id: string,
  { reason, at, seq }: { reason: string; at: Date; seq: string },
): void {
  const row = sessions.get(id)!;
  if (row.snapshot.ended) return;
  row.snapshot = { ...row.snapshot, ended: { reason: reason as EndReason, at: at.getTime() } };
  row.revocationSeq = seq;
}

/** Skips the rows that another transaction has locked. */
function endBatchOfEveryone(
  postgres: SimulatedPostgres,
  [after, reason, at, seq, limit]: [string, string, Date, string, number],
  transaction: Transaction,
) {
  const ids = leftOf(postgres, at)
    .filter(({ id, userId }) => id > after && postgres.isFree(`user ${userId}`, transaction))
    .map(({ id }) => id)
    .sort()
    .slice(0, limit);
  transaction.writes.push(() => ids.forEach((id) => endSession(postgres, id, { reason, at, seq })));
  return [ids.map((id) => ({ id })), ids.length];
}

function insertKey({ keys }: SimulatedPostgres, values: unknown[], { writes }: Transaction) {
  const [id, userId, , scopes, , , digest, createdAt] = values as [
    ...[id: string, userId: string, name: string, scopes: Scope[], networks: string[], limit: number | null],
    ...[digest: string, createdAt: Date],
  ];
  writes.push(() => keys.set(id, newKeyRow({ id, userId, digest }, scopes, createdAt.getTime())));
}

function rotateKey(
  { keys }: SimulatedPostgres,
  [id, digest, at, previousUntil]: [string, string, Date, Date | null],
  { writes }: Transaction,
) {
  writes.push(() => {
    const key = keys.get(id)!;
    keys.set(id, {
      ...key,
      digest,
      rotation: key.rotation + 1,
      rotatedAt: at.getTime(),
      previousDigest: previousUntil && key.digest,
      previousUntil: previousUntil?.getTime() ?? null,
    });
  });
}
