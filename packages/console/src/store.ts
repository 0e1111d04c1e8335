import { useLayoutEffect, useState } from 'preact/hooks';

/** A value that several components show. */
export class Store<Value> {
  private readonly listeners = new Set<() => void>();

  constructor(private current: Value) {}

  get value(): Value {
    return this.current;
  }

  set(value: Value): void {
    this.current = value;
    for (const listener of this.listeners) listener();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
}

/** The value of the store. The component renders again when it changes. */
export function useStore<Value>(store: Store<Value>): Value {
  const [, render] = useState({});
  useLayoutEffect(() => store.subscribe(() => render({})), [store]);
  return store.value;
}
