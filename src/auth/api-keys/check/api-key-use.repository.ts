import type { EntityManager } from 'typeorm';

/** A use of a key, as an instance has seen it. */
export interface ApiKeyUse {
  keyId: string;
  network: string;
  rotation: number;
  /** Milliseconds since the epoch. */
  at: number;
}

/**
 * From more networks than this, the uses of a key are recorded together. A key that moves through many addresses must
 * not fill the table.
 */
const MAX_NETWORKS = 100;
/** The network of all uses beyond the limit. */
const OTHERS = 'others';

/** One row for each key and network, in the order of their ids, so that two instances cannot deadlock. */
const SAVE = `
  with seen as (
    select * from unnest($1::uuid[], $2::text[], $3::int[], $4::float8[]) seen (key_id, network, rotation, ms)
    where exists (select from api_keys where id = seen.key_id)),
  placed as (
    select key_id, rotation, ms, case
      when exists (select from api_key_uses u where u.key_id = seen.key_id and u.network = seen.network)
        or (select count(*) from api_key_uses u where u.key_id = seen.key_id) < ${MAX_NETWORKS} then network
      else '${OTHERS}' end as network
    from seen),
  latest as (
    select distinct on (key_id, network) key_id, network, rotation, to_timestamp(ms / 1000) as at
    from placed order by key_id, network, ms desc)
  insert into api_key_uses as used (key_id, network, rotation, first_used_at, last_used_at)
  select key_id, network, rotation, at, at from latest
  on conflict (key_id, network) do update
    set rotation = excluded.rotation, last_used_at = greatest(used.last_used_at, excluded.last_used_at)
  returning key_id as "keyId", network, xmax = 0 as "isNew",
    (select user_id from api_keys where id = key_id) as "userId"`;

/**
 * Saves from where keys were used, and when.
 *
 * @returns the networks from which a key was not used before
 */
export async function saveApiKeyUses(
  tx: EntityManager,
  uses: ApiKeyUse[],
): Promise<{ keyId: string; userId: string; network: string }[]> {
  const rows = await tx.query<{ keyId: string; userId: string; network: string; isNew: boolean }[]>(SAVE, [
    uses.map(({ keyId }) => keyId),
    uses.map(({ network }) => network),
    uses.map(({ rotation }) => rotation),
    uses.map(({ at }) => at),
  ]);
  return rows.filter(({ isNew }) => isNew).map(({ keyId, userId, network }) => ({ keyId, userId, network }));
}
