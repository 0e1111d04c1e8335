import type { Operations } from '@drawbridge/client';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { request, type RequestParts } from '../api.js';

export interface Resource<Value> {
  /** Undefined until the first answer. It stays while the resource is read again. */
  value?: Value;
  error?: unknown;
  isLoading: boolean;
  reload(): Promise<void>;
}

type Reads = Extract<keyof Operations, `GET ${string}`>;

/** Reads an operation when the component appears, and again when its parts change or on `reload()`. */
export function useResource<O extends Reads>(
  operation: O,
  parts: Omit<RequestParts<never>, 'signal' | 'body'> = {},
): Resource<Operations[O]['answer']> {
  const [state, setState] = useState<Omit<Resource<Operations[O]['answer']>, 'reload'>>({ isLoading: true });
  const latest = useRef<AbortController>(undefined);
  const key = JSON.stringify(parts);
  const reload = useCallback(async () => {
    latest.current?.abort();
    const { signal } = (latest.current = new AbortController());
    setState(({ value }) => ({ value, isLoading: true }));
    try {
      const value = await request(operation, { ...JSON.parse(key), signal });
      if (!signal.aborted) setState({ value, isLoading: false });
    } catch (error) {
      if (!signal.aborted) setState(({ value }) => ({ value, error, isLoading: false }));
    }
  }, [operation, key]);
  useEffect(() => {
    void reload();
    return () => latest.current?.abort();
  }, [reload]);
  return { ...state, reload };
}
