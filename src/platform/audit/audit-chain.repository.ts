import type { ClientBase } from 'pg';
import type { EntityManager } from 'typeorm';

/**
 * All statements of the table `audit_chain`, the audit hash chain. A seal is the hash of the previous seal and of all
 * events that have committed since. An attacker who changes, removes or inserts an event later must rebuild all later
 * seals. The instances have also written those seals to their log, which is outside this database.
 */

/** The digest of an event, from the same bytes each time. Columns that are added later are not part of it. */
const DIGEST = `sha256(convert_to(jsonb_build_array(
  e.id, e.type, extract(epoch from e.at), e.actor_id, e.user_id, e.session_id, host(e.ip), e.user_agent, e.request_id, e.details
)::text, 'UTF8'))`;

/** The hash of a seal: the previous seal's hash, then the digests of its events in order of their numbers. */
const hashOf = (previous: string): string =>
  `sha256(${previous} || string_agg(${DIGEST}, ''::bytea order by e.id))`;

/** Events that one statement reads. */
export const MAX_LINKED = 10_000;

/**
 * No transaction of an instance is open for longer, because statements end after 10 s. After this time an event with
 * a lower number has committed, or never will.
 */
export const FINAL_AFTER_MINUTES = 10;

/**
 * Numbers commit out of order. Therefore each run also looks for missing numbers, for a while. $1 is the time of the
 * statement.
 */
export const LINK_EVENTS = `
  with known as (
    select coalesce((select hash from audit_chain order by id desc limit 1), decode(repeat('00', 32), 'hex')) as previous,
      coalesce((select max(last_id) from audit_chain where at < $1::timestamptz - interval '${FINAL_AFTER_MINUTES} min'), 0) as settled
  ), e as (
    select e.* from audit_events e, known
    where e.id > known.settled
      and not exists (select from audit_chain s where s.last_id > known.settled and e.id <@ s.events)
    order by e.id limit ${MAX_LINKED}
  )
  insert into audit_chain (at, events, last_id, count, previous, hash)
  select $1, range_agg(int8range(e.id, e.id + 1)), max(e.id), count(*), known.previous, ${hashOf('known.previous')}
  from e, known group by known.previous
  returning id, count, encode(hash, 'hex') as hash`;

const COMPARE_LINKS = `
  select s.id, s.at, s.count, encode(s.previous, 'hex') as previous, encode(s.hash, 'hex') as hash,
    (select encode(${hashOf('s.previous')}, 'hex') from audit_events e
     where e.id >= lower(s.events) and e.id < upper(s.events) and e.id <@ s.events) as now,
    (select count(*)::int from audit_events e
     where e.id >= lower(s.events) and e.id < upper(s.events) and e.id <@ s.events) as found
  from audit_chain s where s.id > $1 order by s.id limit 100`;

const UNLINKED = `
  with known as (
    select coalesce(max(last_id), 0) as settled from audit_chain
    where at < (select max(at) from audit_chain) - interval '${FINAL_AFTER_MINUTES} min'
  )
  select (select count(*)::int from audit_events) as events,
    (select count(*)::int from audit_events e, known where e.id > known.settled
       and not exists (select from audit_chain s where s.last_id > known.settled and e.id <@ s.events)) as waiting`;

/** A new seal. */
export interface Seal {
  id: string;
  /** The number of its events. */
  count: number;
  /** In hexadecimal digits. */
  hash: string;
}

/** A seal, and its events as they are now. */
export interface ComparedSeal extends Seal {
  at: Date;
  /** The stored hash of the previous seal. */
  previous: string;
  /** The hash of its events as they are now; null when there are no events. */
  now: string | null;
  /** The number of its events as they are now. */
  found: number;
}

/** @returns null if no event waits for a seal */
export async function linkEvents(tx: EntityManager, now: Date): Promise<Seal | null> {
  const [seal] = await tx.query<Seal[]>(LINK_EVENTS, [now]);
  return seal ?? null;
}

/** One page of seals after the given number. */
export async function compareLinks(
  client: Pick<ClientBase, 'query'>,
  after: string,
): Promise<ComparedSeal[]> {
  const { rows } = await client.query<ComparedSeal>(COMPARE_LINKS, [after]);
  return rows;
}

/** The number of events, and how many of them may still wait for a seal. */
export async function countUnlinked(
  client: Pick<ClientBase, 'query'>,
): Promise<{ events: number; waiting: number }> {
  const { rows } = await client.query<{ events: number; waiting: number }>(UNLINKED);
  return rows[0]!;
}
