import type pg from 'pg';
import type { DataSource, EntityManager } from 'typeorm';
import type { RevocationDatabase } from '../../../src/platform/persistence/revocation-database.js';
import type { RevocationTransactions } from '../../../src/platform/persistence/user-transactions.js';
import { Revocation } from '../../../src/sessions/revocation/revocation.entity.js';
import type { Network, Sender } from './network.js';
import type { SimulatedPostgres, Transaction } from './simulated-postgres.js';
import { statementOf } from './statements.js';

/** The dispatcher leaves younger revocations to the instance that made them. */
const HANDOVER_MS = 2_000;

/** A transaction as the shipped code sees it, and as an actor of the explorer adds writes to it. */
export type SimulatedTx = EntityManager & { readonly transaction: Transaction };

/**
 * The connections of an instance to PostgreSQL. A statement outside of a transaction travels over the network. Within
 * one, only locks and most commits do: a lock excludes other transactions, and no other statement sees the writes
 * before the commit.
 */
export class SimulatedDatabase {
  constructor(
    private readonly from: Sender,
    private readonly network: Network,
    private readonly postgres: SimulatedPostgres,
    private readonly random: () => number,
  ) {}

  /** For checks. */
  pool(): pg.Pool {
    return this.connection() as unknown as pg.Pool;
  }

  /** For the feed. */
  connection(): pg.Client {
    const query = async (statement: string | pg.QueryConfig<unknown[]>) => {
      const { text, values = [] } = typeof statement === 'string' ? { text: statement } : statement;
      return { rows: await this.ask(text, values) };
    };
    return { query, end: async () => undefined } as unknown as pg.Client;
  }

  source(): DataSource & RevocationDatabase {
    const manager = {
      query: (text: string, values: unknown[] = []) => this.ask(text, values),
      findOneBy: (_: unknown, { seq }: { seq: string }) => this.fly(() => this.revocation(seq)),
      getRepository: () => this.unapplied(),
    };
    const transaction = <T>(work: (tx: SimulatedTx) => Promise<T>) =>
      this.complete(this.postgres.begin(this.from), work);
    return { manager, query: manager.query, transaction } as unknown as DataSource & RevocationDatabase;
  }

  transactions(): RevocationTransactions {
    return {
      run: <T>(userId: string, work: (tx: SimulatedTx) => Promise<T>) => this.run(userId, work),
    } as unknown as RevocationTransactions;
  }

  /** A transaction that takes the lock of a user first. */
  async run<T>(userId: string, work: (tx: SimulatedTx) => Promise<T>): Promise<T> {
    const lock = `user ${userId}`;
    const begin = () => {
      const transaction = this.postgres.begin(this.from);
      this.postgres.take(lock, transaction);
      return transaction;
    };
    return this.complete(await this.fly(begin, () => this.postgres.isFree(lock)), work);
  }

  private async complete<T>(transaction: Transaction, work: (tx: SimulatedTx) => Promise<T>): Promise<T> {
    try {
      const result = await work(this.tx(transaction));
      if (this.random() < 0.6) this.postgres.commit(transaction);
      else await this.fly(() => this.postgres.commit(transaction));
      return result;
    } catch (error) {
      this.postgres.rollBack(transaction);
      throw error;
    }
  }

  private tx(transaction: Transaction): SimulatedTx {
    const { postgres } = this;
    const query = async (text: string, values: unknown[] = []) => {
      const { lock, run } = statementOf(text);
      postgres.requireOpen(transaction);
      if (lock) {
        const name = lock(...(values as never[]));
        await this.fly(
          () => postgres.take(name, transaction),
          () => postgres.isFree(name, transaction),
        );
      }
      return run?.(postgres, values as never, transaction) ?? [];
    };
    const findOneBy = async (_: unknown, { seq }: { seq: string }) => this.revocation(seq);
    return { query, findOneBy, transaction } as unknown as SimulatedTx;
  }

  private ask(text: string, values: unknown[]): Promise<object[]> {
    const run = statementOf(text).run!;
    const none = { xid: 0n, locks: new Set<string>(), writes: [], open: true, owner: this.from };
    return this.fly(() => run(this.postgres, values as never, none) as object[]);
  }

  private fly<T>(effect: () => T, mayArrive?: () => boolean): Promise<T> {
    return this.network.fly(this.from, 'postgres', effect, mayArrive && { mayArrive });
  }

  private revocation(seq: string): Revocation | null {
    const row = this.postgres.revocations.find((each) => each.seq === seq);
    return row ? Object.assign(new Revocation(), row) : null;
  }

  /** The query of the dispatcher. */
  private unapplied() {
    const { clock, revocations } = this.postgres;
    const isLeft = ({ appliedAt, createdAt }: Revocation) =>
      appliedAt === null && createdAt.getTime() < clock.time - HANDOVER_MS;
    const copies = () => revocations.filter(isLeft).map((row) => Object.assign(new Revocation(), row));
    const builder = Object.fromEntries(
      ['createQueryBuilder', 'where', 'andWhere', 'orderBy', 'take'].map((name) => [name, () => builder]),
    ) as Record<string, unknown>;
    builder['getMany'] = () => this.fly(copies);
    return builder;
  }
}
