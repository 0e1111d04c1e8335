import { createClient } from 'redis';

/** The servers' own counts: statements of PostgreSQL, commands of Redis. */
export class StoreCounts {
  #database;
  #redis;

  static async of(world) {
    const counts = new StoreCounts();
    counts.#database = world.database;
    counts.#redis = createClient({ url: world.redis.url });
    await counts.#redis.connect();
    if (!world.countsStatements)
      throw new Error('this PostgreSQL cannot count statements: pg_stat_statements is missing');
    return counts;
  }

  async #read() {
    const { rows } = await this.#database.query(
      `select query, sum(calls)::int as calls from pg_stat_statements where query !~ 'pg_stat_statements' group by query`,
    );
    const info = await this.#redis.info('commandstats');
    const commands = [...info.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)].map(([, name, calls]) => [
      name,
      Number(calls),
    ]);
    return {
      statements: new Map(rows.map(({ query, calls }) => [query, calls])),
      commands: new Map(commands),
    };
  }

  /** The counts during `work`; the counting itself is excluded. */
  async during(work) {
    const before = await this.#read();
    const result = await work();
    const after = await this.#read();
    const statements = grown(before.statements, after.statements);
    const commands = grown(before.commands, after.commands);
    if (commands.info) commands.info -= 1; // the one above
    return { result, statements, commands };
  }

  /** Clears the cached sessions. */
  async forgetVerdicts() {
    await this.#redis.flushDb();
  }

  async stop() {
    this.#redis.destroy();
  }
}

export const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);

function grown(before, after) {
  return Object.fromEntries(
    [...after]
      .map(([name, count]) => [name, count - (before.get(name) ?? 0)])
      .filter(([, count]) => count > 0),
  );
}
