import type { ComponentChildren } from 'preact';
import { Store, useStore } from './store.js';

/** Pages change without a request for a document, so that the state of the session stays in memory. */
const path = new Store(currentPath());

addEventListener('popstate', () => path.set(currentPath()));

function currentPath(): string {
  return location.pathname.replace(/\/+$/, '') || '/';
}

/** @param options `replace`: the browser's back button does not return to the present page */
export function navigate(to: string, { replace = false } = {}): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  path.set(currentPath());
  scrollTo(0, 0);
  document.querySelector<HTMLElement>('main')?.focus();
}

export function usePath(): string {
  return useStore(path);
}

/** The values after `?` in the address. Filters live there, so that a reload, a link and the back button keep them. */
export function useQuery(): Record<string, string> {
  useStore(path);
  return Object.fromEntries(new URLSearchParams(location.search));
}

/** Replaces the values after `?`. The page, its focus and the entry in the history stay. Empty values are left out. */
export function replaceQuery(values: Record<string, string>): void {
  const search = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== ''));
  history.replaceState(null, '', search.size === 0 ? location.pathname : `?${search}`);
  path.set(currentPath());
}

interface LinkProps {
  to: string;
  class?: string;
  children: ComponentChildren;
}

/** A link within the console. It remains a real link: a new tab, a copy of its address and the keyboard work. */
export function Link({ to, class: className, children }: LinkProps) {
  const isCurrent = usePath() === to;
  const follow = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a href={to} class={className} aria-current={isCurrent ? 'page' : undefined} onClick={follow}>
      {children}
    </a>
  );
}
