import type { SimulatedPostgres, Transaction } from './simulated-postgres.js';

/** A statement that the shipped code sends, and its result in the form in which the driver returns it. */
export interface Statement {
  /** A part of its text that no other statement has; the first match counts. */
  text: string;
  /** The lock for which it waits. */
  lock?: (...values: never[]) => string;
  run?: (postgres: SimulatedPostgres, values: never, transaction: Transaction) => unknown;
}

/** The result of a read of a check: each row has an id, and the record as JSON. */
export function rowsAsText(ids: string[], table: Map<string, unknown>, read: (id: string) => object) {
  return ids.filter((id) => table.has(id)).map((id) => ({ id, text: JSON.stringify(read(id)) }));
}
