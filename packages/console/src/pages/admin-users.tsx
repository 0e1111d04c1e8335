import { useEffect, useState } from 'preact/hooks';
import { replaceQuery, useQuery } from '../router.js';
import { texts } from '../texts.js';
import { Field } from '../ui/controls.js';
import { Page } from '../ui/page.js';
import { PagedList } from '../ui/paged-list.js';
import { usePages } from '../ui/use-pages.js';
import { EveryoneSection } from './admin/everyone-section.js';
import { UsersTable } from './admin/users-table.js';

const t = texts.admin;
/** Long enough for most to finish a word, short enough to feel immediate. */
const SEARCH_DELAY_MS = 250;

/** All users, newest first, with a search; and the end of everyone's sessions. */
export default function UsersPage() {
  const { query = '' } = useQuery();
  const users = usePages('GET /v1/admin/users', { query });
  return (
    <Page title={t.users}>
      <Search query={query} />
      <PagedList pages={users} empty={t.noUsers}>
        {(items) => <UsersTable users={items} />}
      </PagedList>
      <EveryoneSection onEnded={users.reload} />
    </Page>
  );
}

/** Searches when the admin has stopped typing for a moment. */
function Search({ query }: { query: string }) {
  const [text, setText] = useState(query);
  useEffect(() => {
    if (text.trim() === query) return;
    const timer = setTimeout(() => replaceQuery({ query: text.trim() }), SEARCH_DELAY_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <form class="narrow-field" role="search" onSubmit={(event) => event.preventDefault()}>
      <Field
        label={t.search}
        hint={t.searchHint}
        name="query"
        type="search"
        maxLength={254}
        autocomplete="off"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
    </form>
  );
}
