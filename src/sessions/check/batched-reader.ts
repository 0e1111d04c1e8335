import type pg from 'pg';
import { Problem } from '../../platform/api/problem.js';
import { MicroBatcher } from '../../platform/performance/micro-batcher.js';
import { ParseCache } from '../../platform/performance/parse-cache.js';
import type { Prepared } from '../../platform/persistence/database.module.js';

/**
 * Reads records from Postgres, which is authoritative. Reads of the same event-loop turn share one statement.
 *
 * The statement has a list of ids as its parameter, and returns each record as one JSON text: the columns `id` and
 * `text`. Most texts are the same as at the last read, so their parsed form is reused.
 */
export class BatchedReader<Snapshot> {
  private readonly snapshots: ParseCache<Snapshot>;
  private readonly turn = new MicroBatcher((ids) => this.readMany(ids));

  constructor(
    private readonly pool: pg.Pool,
    private readonly statement: Prepared,
    parse: (text: string) => Snapshot,
  ) {
    this.snapshots = new ParseCache((_, text) => parse(text));
  }

  /**
   * Reads one record; undefined when it does not exist.
   *
   * @throws Problem `auth.unavailable` for every failure. Without an answer the server accepts no session and logs no
   * user out.
   */
  async read(id: string): Promise<Snapshot | undefined> {
    return (await this.turn.ask(id)).get(id);
  }

  /** Same as {@link read}, but for several records and without waiting for the end of the turn. */
  async readMany(ids: string[]): Promise<Map<string, Snapshot>> {
    try {
      const { rows } = await this.pool.query<{ id: string; text: string }>({
        ...this.statement,
        values: [ids],
      });
      return new Map(rows.map(({ id, text }) => [id, this.snapshots.of(id, text)]));
    } catch (error) {
      throw new Problem('auth.unavailable', { cause: error });
    }
  }
}
