import { useEffect, useState } from 'preact/hooks';
import { Store, useStore } from './store.js';

/** The results that the server and mails put into the fragment of the address. */
const KEYS = ['social', 'social_error', 'token'];

/**
 * The result in the fragment, which stays until a page has shown it. It leaves the address bar at once: it may be a
 * secret, and a reload must not repeat it.
 */
const fragment = new Store<URLSearchParams | null>(null);

function take(): void {
  const found = new URLSearchParams(location.hash.slice(1));
  if (!KEYS.some((key) => found.has(key))) return;
  history.replaceState(null, '', location.pathname + location.search);
  fragment.set(found);
}

take();
// A link in a mail that is opened in a tab of the same page does not load it again.
addEventListener('hashchange', take);

/** The result that has arrived with the address of this page, or later by a link to it. */
export function useFragment(): URLSearchParams | null {
  const arrived = useStore(fragment);
  const [taken, setTaken] = useState(arrived);
  useEffect(() => {
    if (!arrived) return;
    setTaken(arrived);
    fragment.set(null);
  }, [arrived]);
  return arrived ?? taken;
}
