import type { AdminUser } from '@drawbridge/client';
import { Link } from '../../router.js';
import { texts } from '../../texts.js';
import { Definitions } from '../../ui/definitions.js';
import { Section } from '../../ui/page.js';
import { Time } from '../../ui/time.js';
import { UserBadges } from './users-table.js';

const t = texts.admin;

export function ProfileSection({ user }: { user: AdminUser }) {
  return (
    <Section title={t.profile}>
      <Definitions
        entries={[
          [t.roles, <UserBadges user={user} />],
          [t.created, <Time at={user.createdAt} />],
          [t.id, <code>{user.id}</code>],
        ]}
      />
      <p>
        <Link to={`/console/events?userId=${user.id}`}>{t.eventsOfUser}</Link>
      </p>
    </Section>
  );
}
