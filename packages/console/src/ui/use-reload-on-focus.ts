import { useEffect } from 'preact/hooks';

/** Reads again what may have changed while the user was in another window. */
export function useReloadOnFocus(reload: () => unknown): void {
  useEffect(() => {
    const onFocus = () => void reload();
    addEventListener('focus', onFocus);
    return () => removeEventListener('focus', onFocus);
  }, [reload]);
}
