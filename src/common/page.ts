import { z } from 'zod';
import { invalidRequest } from './problem.js';

const DEFAULT_LIMIT = 50;
const MOST = 200;

/** `?limit&cursor` of a page. A query is text, so numbers are read from it. */
export const pageQuery = {
  limit: z
    .string()
    .regex(/^\d{1,3}$/, 'must be a whole number')
    .transform(Number)
    .refine((limit) => limit >= 1 && limit <= MOST, `must be from 1 to ${MOST}`)
    .default(DEFAULT_LIMIT),
  cursor: z.string().max(200).optional(),
};

/** Where the next page begins, opaque to clients. */
export function encodeCursor(position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** @throws Problem `request.invalid` for what was not made by {@link encodeCursor} */
export function decodeCursor<T>(cursor: string | undefined, schema: z.ZodType<T>): T | undefined {
  if (cursor === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
  } catch {
    throw invalidRequest([{ path: 'cursor', message: 'is not one of ours' }]);
  }
}

/** Asks for one more than the page holds, to know whether there is a next one. */
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
