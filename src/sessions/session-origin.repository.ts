import type { EntityManager } from 'typeorm';
import type { SessionOrigin } from './session-factory.js';

/** All statements of the table `session_origins`. */

export async function insertOrigin(
  tx: EntityManager,
  sessionId: string,
  { identityId, sid }: SessionOrigin,
): Promise<void> {
  await tx.query('insert into session_origins (session_id, identity_id, sid) values ($1, $2, $3)', [
    sessionId,
    identityId,
    sid,
  ]);
}

/**
 * The sessions that began with an outside account, ended ones too.
 *
 * @param sid only those of this session at the provider; null for all
 */
export async function sessionsBegunBy(
  tx: Pick<EntityManager, 'query'>,
  identityId: string,
  sid: string | null,
): Promise<string[]> {
  const rows = await tx.query<{ session_id: string }[]>(
    'select session_id from session_origins where identity_id = $1 and ($2::text is null or sid = $2)',
    [identityId, sid],
  );
  return rows.map(({ session_id }) => session_id);
}
