import { useState } from 'preact/hooks';

export interface Action<Args extends unknown[]> {
  isRunning: boolean;
  error?: unknown;
  run(...args: Args): Promise<void>;
  clear(): void;
}

/** Runs something that the user has asked for: once at a time, with its error kept for {@link ErrorNotice}. */
export function useAction<Args extends unknown[]>(act: (...args: Args) => Promise<unknown>): Action<Args> {
  const [state, setState] = useState<{ isRunning: boolean; error?: unknown }>({ isRunning: false });
  return {
    ...state,
    clear: () => setState({ isRunning: false }),
    async run(...args) {
      if (state.isRunning) return;
      setState({ isRunning: true });
      try {
        await act(...args);
        setState({ isRunning: false });
      } catch (error) {
        setState({ isRunning: false, error });
      }
    },
  };
}
