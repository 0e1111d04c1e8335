import { READ_GRANTS } from '../../../src/auth/oauth/grant.repository.js';
import { activeIn, ownerIn, type End } from '../stores/credential-statements.js';
import type { SimulatedPostgres, Transaction } from '../stores/simulated-postgres.js';
import { rowsAsText, type Statement } from '../stores/statement.js';
import { newGrantRow } from './grant-row.js';

/** The statements of grants. */
export const grantStatements: Statement[] = [
  {
    text: READ_GRANTS.text,
    run: (postgres, [ids]: [string[]]) => rowsAsText(ids, postgres.grants, (id) => postgres.grant(id)),
  },
  { text: 'insert into oauth_grants', run: insertGrant },
  { text: 'select user_id from oauth_grants', run: ({ grants }, [id]: [string]) => ownerIn(grants, id) },
  {
    text: 'select id from oauth_grants where user_id',
    run: ({ grants }, [userId]: [string]) => activeIn(grants, userId),
  },
  {
    text: 'for update of g',
    run: (postgres, [id]: [string]) => [
      { ...postgres.grant(id), revocationSeq: postgres.grants.get(id)!.revocationSeq },
    ],
  },
  {
    text: `update oauth_grants set status = 'ended'`,
    run: ({ grants }, [ids, reason, at, seq]: End, { writes }) =>
      writes.push(() => {
        for (const id of ids)
          Object.assign(grants.get(id)!, {
            ended: { reason, at: at.getTime() },
            revocationSeq: seq,
          });
      }),
  },
];

function insertGrant({ grants }: SimulatedPostgres, values: unknown[], { writes }: Transaction) {
  const [id, userId, , , , sessionId, createdAt] = values as [
    ...[id: string, userId: string, client: string, name: string, scopes: string[]],
    ...[sessionId: string | null, createdAt: Date],
  ];
  writes.push(() => grants.set(id, { ...newGrantRow(userId, sessionId, createdAt.getTime()), id }));
}
