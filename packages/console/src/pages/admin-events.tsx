import { useQuery } from '../router.js';
import { texts } from '../texts.js';
import { Page } from '../ui/page.js';
import { PagedList } from '../ui/paged-list.js';
import { usePages } from '../ui/use-pages.js';
import { EventFilters } from './admin/event-filters.js';
import { EventItem } from './admin/event-item.js';

const t = texts.events;
/** Half of the server's own number: each event takes some lines on a phone. */
const PAGE_SIZE = 25;

/** The audit events, newest first. The address has the filters, so that a filtered list can be linked to. */
export default function EventsPage() {
  const { userId, type, from, to } = useQuery();
  const events = usePages('GET /v1/admin/audit-events', { userId, type, from, to, limit: PAGE_SIZE });
  return (
    <Page title={t.title} lead={t.lead}>
      <EventFilters key={`${userId} ${type} ${from} ${to}`} filters={{ userId, type, from, to }} />
      <PagedList pages={events} empty={t.none}>
        {(items) => (
          <ol class="events">
            {items.map((event) => (
              <EventItem key={event.id} event={event} />
            ))}
          </ol>
        )}
      </PagedList>
    </Page>
  );
}
