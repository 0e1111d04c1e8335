import type { AppGrant } from '@drawbridge/client';
import type { ComponentChildren } from 'preact';
import { texts } from '../../texts.js';
import { Badge, Definitions } from '../../ui/definitions.js';
import { Time } from '../../ui/time.js';

const t = texts.access;

interface AppCardProps {
  grant: AppGrant;
  /** The button. It is shown while the grant is active. */
  children: ComponentChildren;
}

/** An app with access, as its user and admins see it. */
export function AppCard({ grant, children }: AppCardProps) {
  const { app, scopes, status, endReason, endedAt, endsWithSession } = grant;
  const isActive = status === 'active';
  return (
    <li class="card">
      <h3>
        {app.name} {!isActive && <Badge kind="bad">{t.grantEnded}</Badge>}
      </h3>
      <Definitions
        entries={[
          [t.scopes, scopes.join(', ') || t.noScope],
          [t.given, <Time at={grant.createdAt} />],
          [t.lastUsed, <Time at={grant.lastUsedAt} />],
          isActive && [t.expires, <Time at={grant.expiresAt} />],
          isActive && [t.lasts, endsWithSession ? t.untilLogout : t.beyondLogout],
          endedAt && [t.ended, <Time at={endedAt} />],
          endReason && [t.endReason, t.grantEndReasons[endReason]],
        ]}
      />
      {isActive && <div class="actions">{children}</div>}
    </li>
  );
}
