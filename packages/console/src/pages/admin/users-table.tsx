import type { AdminUser } from '@drawbridge/client';
import { Link } from '../../router.js';
import { texts } from '../../texts.js';
import { Badge } from '../../ui/definitions.js';
import { Time } from '../../ui/time.js';

const t = texts.admin;

/** A table, and on a phone a card per user. The roles keep it a table for screen readers in both forms. */
export function UsersTable({ users }: { users: AdminUser[] }) {
  return (
    <div class="table stacked">
      <table role="table" aria-label={t.users}>
        <thead role="rowgroup">
          <tr role="row">
            {[t.user, t.roles, t.created].map((name) => (
              <th key={name} scope="col" role="columnheader">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {users.map((user) => (
            <UserRow key={user.id} user={user} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function UserRow({ user }: { user: AdminUser }) {
  const { id, email, displayName, createdAt } = user;
  return (
    <tr role="row">
      <th scope="row" role="rowheader">
        <Link to={`/console/users/${id}`}>{email}</Link>
        {displayName && <span class="small">{displayName}</span>}
      </th>
      <td role="cell">
        <UserBadges user={user} />
      </td>
      <td role="cell">
        <span class="cell-label">{t.created} </span>
        <Time at={createdAt} />
      </td>
    </tr>
  );
}

/** The roles of a user, and whether a ban is in force. */
export function UserBadges({ user: { roles, banned } }: { user: AdminUser }) {
  return (
    <span class="badges">
      {roles.map((role) => (
        <Badge key={role} kind={role === 'admin' ? 'good' : undefined}>
          {t.roleNames[role]}
        </Badge>
      ))}
      {banned && <Badge kind="bad">{t.banned}</Badge>}
    </span>
  );
}
