import { SessionEnded } from '@drawbridge/client';
import type { ComponentChildren } from 'preact';
import { texts } from '../texts.js';
import { Button } from './controls.js';
import { explain, Loading, Notice } from './notices.js';
import type { Pages } from './use-pages.js';

interface PagedListProps<Item> {
  pages: Pages<Item>;
  /** Shown when there is no item. */
  empty: string;
  children: (items: Item[]) => ComponentChildren;
}

/** Shows the items that were read so far, and a button for more if there are more. */
export function PagedList<Item>({ pages, empty, children }: PagedListProps<Item>) {
  const { items, nextCursor, error, isLoading, more, reload } = pages;
  const hasFailed = error !== undefined && !(error instanceof SessionEnded);
  if (items === undefined && isLoading) return <Loading />;
  return (
    <>
      {items && (items.length === 0 ? <p class="empty">{empty}</p> : children(items))}
      {hasFailed && (
        <Notice kind="bad">
          {explain(error)} {!nextCursor && <Button onClick={reload}>{texts.common.tryAgain}</Button>}
        </Notice>
      )}
      {nextCursor && (
        <div class="actions">
          <Button isBusy={isLoading} onClick={more}>
            {texts.common.more}
          </Button>
        </div>
      )}
    </>
  );
}
