import type { Operations } from '@drawbridge/client';
import { useEffect, useRef, useState } from 'preact/hooks';
import { request, type RequestParts } from '../api.js';

interface PageOf<Item> {
  items: Item[];
  nextCursor: string | null;
}

/** The operations that answer in pages. */
type PagedReads = {
  [O in keyof Operations]: Operations[O]['answer'] extends PageOf<unknown> ? O : never;
}[keyof Operations];
type ItemOf<O extends PagedReads> = Operations[O]['answer'] extends PageOf<infer Item> ? Item : never;

interface PagesState<Item> {
  /** Of all pages so far. Undefined until the first answer. */
  items?: Item[];
  nextCursor: string | null;
  error?: unknown;
  isLoading: boolean;
}

export interface Pages<Item> extends PagesState<Item> {
  /** Reads the next page. */
  more(): Promise<void>;
  /** Reads the first page again. */
  reload(): Promise<void>;
}

/** Reads the first page when the component appears, and again when the query changes. `more()` adds the next one. */
export function usePages<O extends PagedReads>(
  operation: O,
  query: NonNullable<RequestParts<never>['query']> = {},
): Pages<ItemOf<O>> {
  type State = PagesState<ItemOf<O>>;
  const [state, setState] = useState<State>({ nextCursor: null, isLoading: true });
  const latest = useRef<AbortController>(undefined);
  const read = async (before: ItemOf<O>[], cursor?: string) => {
    latest.current?.abort();
    const { signal } = (latest.current = new AbortController());
    setState((state) => ({ ...state, error: undefined, isLoading: true }));
    try {
      const answer = await request(operation, { query: { ...query, cursor }, signal });
      const { items, nextCursor } = answer as PageOf<ItemOf<O>>;
      if (!signal.aborted) setState({ items: [...before, ...items], nextCursor, isLoading: false });
    } catch (error) {
      if (!signal.aborted) setState((state) => ({ ...state, error, isLoading: false }));
    }
  };
  useEffect(() => {
    void read([]);
    return () => latest.current?.abort();
  }, [operation, JSON.stringify(query)]);
  const { items = [], nextCursor } = state;
  return { ...state, reload: () => read([]), more: () => read(items, nextCursor ?? undefined) };
}
