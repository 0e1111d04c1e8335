import type { PageProps } from '../app.js';
import { Link } from '../router.js';
import { texts } from '../texts.js';
import { Loaded } from '../ui/notices.js';
import { Page } from '../ui/page.js';
import { BanSection } from './admin/ban-section.js';
import { ProfileSection } from './admin/profile-section.js';
import { RolesSection } from './admin/roles-section.js';
import { SecondFactorSection } from './admin/second-factor-section.js';
import { useUserRecords } from './admin/use-user-records.js';
import { UserApiKeysSection } from './admin/user-api-keys-section.js';
import { UserAppsSection } from './admin/user-apps-section.js';
import { UserSessionsSection } from './admin/user-sessions-section.js';

/** What an admin knows about a user, and may do to the account. */
export default function UserPage({ params }: PageProps) {
  // A new page for another user: no receipt and no draft of a form stays.
  return <UserPageOf key={params['id']} id={params['id']!} />;
}

function UserPageOf({ id }: { id: string }) {
  const records = useUserRecords(id);
  const { user, reload } = records;
  return (
    <Page title={user.value?.email ?? texts.admin.user} lead={user.value?.displayName}>
      <p>
        <Link to="/console/users">{texts.admin.allUsers}</Link>
      </p>
      <Loaded resource={user}>
        {(user) => (
          <>
            <ProfileSection user={user} />
            <UserSessionsSection userId={id} records={records} />
            <BanSection user={user} onChange={reload} />
            <RolesSection user={user} onChange={reload} />
            <SecondFactorSection user={user} onChange={reload} />
            <UserApiKeysSection records={records} />
            <UserAppsSection userId={id} records={records} />
          </>
        )}
      </Loaded>
    </Page>
  );
}
