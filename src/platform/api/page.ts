import { z } from 'zod';
import { invalidRequest } from './problem.js';

const DEFAULT_LIMIT = 50;
const MOST = 200;

/** The parameters `?limit&cursor` of a page. Query values are texts, so the number is parsed. */
export const pageQuery = {
  limit: z
    .string()
    .regex(/^\d{1,3}$/, 'must be a whole number')
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= MOST, `must be from 1 to ${MOST}`)
    .default(DEFAULT_LIMIT),
  cursor: z.string().max(200).optional(),
};

/** The start of the next page, opaque to clients. */
export function encodeCursor(position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** @throws Problem `request.invalid` if {@link encodeCursor} did not make the cursor */
export function decodeCursor<T>(cursor: string | undefined, schema: z.ZodType<T>): T | undefined {
  if (cursor === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
  } catch {
    throw invalidRequest([{ path: 'cursor', message: 'is not a cursor of this service' }]);
  }
}

/** Builds a page. Query for one item more than `limit`, so that the page knows whether another one follows. */
export function pageOf<Item, View>(
  found: Item[],
  limit: number,
  { view, position }: { view: (item: Item) => View; position: (last: Item) => unknown },
): { items: View[]; nextCursor: string | null } {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map(view),
    nextCursor: found.length > limit && last ? encodeCursor(position(last)) : null,
  };
}
