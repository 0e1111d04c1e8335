import { bufferTime, filter, map, type Observable } from 'rxjs';
import { BoundedBatch } from './bounded-batch.js';

/** Each event of the stream passes a session check in PostgreSQL, so what happens in this time is one event. */
const BATCH_MS = 100;
const MAX_ITEMS = 500;

export interface Batch<Item> {
  items: Item[];
  /** How many more there were. */
  dropped: number;
}

/** Joins the batches of a tenth of a second, and limits the result. */
export function batched<Item>(source: Observable<Batch<Item>>): Observable<Batch<Item>> {
  return source.pipe(
    bufferTime(BATCH_MS),
    filter((batches) => batches.length > 0),
    map((batches) => {
      const joined = new BoundedBatch<Item>(MAX_ITEMS);
      for (const { items, dropped } of batches) joined.add(items, dropped);
      return joined.take();
    }),
  );
}
