import type { ClientBase } from 'pg';
import { compareLinks, countUnlinked, type ComparedSeal } from './audit-chain.repository.js';

/** The result of {@link verifyAudit}. `seals` and `events` are the numbers found. */
export interface Verification {
  seals: number;
  events: number;
  /** Seals whose events were removed when their retention was over. */
  removed: number;
  /** Events that wait for the next seal. */
  waiting: number;
  /** The last seal, as `number:hash`. */
  head: string | null;
  /** Descriptions of every inconsistency; empty for an intact log. */
  faults: string[];
}

const NONE = '00'.repeat(32);

/**
 * Compares the audit log with its hash chain.
 *
 * @param heads seals as an instance logged them, in the form `number:hash`; a rebuilt chain does not contain them
 * @param retainedSince events of older seals may have been removed
 */
export async function verifyAudit(
  client: Pick<ClientBase, 'query'>,
  { heads = [], retainedSince }: { heads?: string[]; retainedSince: Date },
): Promise<Verification> {
  const faults: string[] = [];
  const result: Verification = { seals: 0, events: 0, removed: 0, waiting: 0, head: null, faults };
  const sought = new Map(heads.map((head) => head.split(':') as [string, string]));
  let previous = NONE;
  for (let after = '0'; ;) {
    const seals = await compareLinks(client, after);
    for (const seal of seals) {
      const name = `chain entry ${seal.id} of ${seal.at.toISOString()}`;
      if (seal.previous !== previous)
        faults.push(`${name} does not follow the previous entry: entries are missing or were recreated`);
      const removed = seal.found === 0 && seal.at < retainedSince;
      if (removed) result.removed += 1;
      else if (seal.now !== seal.hash) faults.push(`${name}: ${differenceOf(seal)}`);
      const logged = sought.get(seal.id);
      if (logged && logged !== seal.hash) faults.push(`${name} differs from the entry in the log`);
      sought.delete(seal.id);
      previous = seal.hash;
      result.seals += 1;
      result.events += seal.found;
      result.head = `${seal.id}:${seal.hash}`;
    }
    const last = seals.at(-1);
    if (!last) break;
    after = last.id;
  }
  for (const [id] of sought) faults.push(`chain entry ${id} is in the log, but missing in the database`);
  const { events, waiting } = await countUnlinked(client);
  result.waiting = waiting;
  const slippedIn = events - result.events - waiting;
  if (slippedIn > 0)
    faults.push(`${slippedIn} events lie between chained events, but belong to no chain entry`);
  return result;
}

function differenceOf({ count, found }: ComparedSeal): string {
  if (found === count) return 'at least one of its events was changed';
  return `it was made of ${count} events, but ${found} exist`;
}
