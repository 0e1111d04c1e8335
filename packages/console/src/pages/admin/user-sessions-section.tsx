import type { Receipt, Session } from '@drawbridge/client';
import { useState } from 'preact/hooks';
import { request } from '../../api.js';
import { sessionState } from '../../session.js';
import { texts } from '../../texts.js';
import { Select } from '../../ui/choices.js';
import { Badge, Definitions } from '../../ui/definitions.js';
import { ConfirmButton } from '../../ui/dialog.js';
import { Loaded } from '../../ui/notices.js';
import { Section } from '../../ui/page.js';
import { ReceiptStatus } from '../../ui/receipt-status.js';
import { Time } from '../../ui/time.js';
import type { SessionFilter, UserRecords } from './use-user-records.js';

const t = texts.admin;

/** The sessions of a user. Single ones can be ended, and so can all, which ends the access of apps as well. */
export function UserSessionsSection({ userId, records }: { userId: string; records: UserRecords }) {
  const { sessions, filter, setFilter, reload } = records;
  const [ended, setEnded] = useState<{ receipt: Receipt; done: string } | null>(null);
  const endOne = async (id: string) => {
    const receipt = await request('DELETE /v1/admin/sessions/{id}', { params: { id } });
    await reload();
    setEnded({ receipt, done: t.sessionEnded });
  };
  const endAll = async () => {
    const receipt = await request('DELETE /v1/admin/users/{id}/sessions', { params: { id: userId } });
    await reload();
    setEnded({ receipt, done: t.userSignedOut });
  };
  return (
    <Section title={t.sessions}>
      <div class="narrow-field">
        <Select
          label={t.show}
          name="status"
          options={Object.entries(t.sessionFilters)}
          value={filter}
          onChange={(value) => setFilter(value as SessionFilter)}
        />
      </div>
      <ReceiptStatus receipt={ended?.receipt ?? null} done={ended?.done ?? ''} endsSessions />
      <Loaded resource={sessions} isEmpty={({ items }) => items.length === 0} empty={t.noSessions}>
        {({ items }) => (
          <ul class="cards">
            {items.map((session) => (
              <SessionCard key={session.id} session={session} onEnd={endOne} />
            ))}
          </ul>
        )}
      </Loaded>
      <ConfirmButton title={t.signOutUser} act={endAll}>
        {t.signOutUserExplained}
      </ConfirmButton>
    </Section>
  );
}

interface SessionCardProps {
  session: Session;
  onEnd: (id: string) => Promise<void>;
}

function SessionCard({ session, onEnd }: SessionCardProps) {
  const { id, device, ip, country, endReason, endedAt } = session;
  const isActive = session.status === 'active';
  return (
    <li class="card">
      <h3>
        {device.name} {!isActive && <Badge>{t.sessionOver}</Badge>}{' '}
        {isOwn(id) && <Badge kind="good">{texts.devices.current}</Badge>}
      </h3>
      <Definitions
        entries={[
          [texts.devices.place, [country, ip].filter(Boolean).join(' · ') || texts.devices.unknown],
          [texts.devices.lastSeen, <Time at={session.lastSeenAt} />],
          [texts.devices.signedIn, <Time at={session.createdAt} />],
          endedAt && [t.ended, <Time at={endedAt} />],
          endReason && [t.endReason, t.sessionEndReasons[endReason]],
        ]}
      />
      {isActive && (
        <ConfirmButton title={texts.devices.end} label={t.endSessionLabel(device.name)} act={() => onEnd(id)}>
          {texts.devices.endExplained(device.name)}
        </ConfirmButton>
      )}
    </li>
  );
}

/** The session of this page, if the admin looks at their own account. */
function isOwn(sessionId: string): boolean {
  const { value } = sessionState;
  return value.kind === 'signed-in' && value.session.id === sessionId;
}
