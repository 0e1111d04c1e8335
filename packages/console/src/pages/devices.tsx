import type { Session } from '@drawbridge/client';
import { request } from '../api.js';
import { texts } from '../texts.js';
import { ConfirmButton } from '../ui/dialog.js';
import { Loaded } from '../ui/notices.js';
import { Page } from '../ui/page.js';
import { RenameButton } from '../ui/rename-button.js';
import { Time } from '../ui/time.js';
import { useReloadOnFocus } from '../ui/use-reload-on-focus.js';
import { useResource } from '../ui/use-resource.js';

const t = texts.devices;

/** The sessions of the user as cards. Each can be ended, and so can all others at once. */
export default function DevicesPage() {
  const sessions = useResource('GET /v1/sessions');
  useReloadOnFocus(sessions.reload);
  const endOthers = async () => {
    await request('DELETE /v1/sessions', { query: { except: 'current' } });
    await sessions.reload();
  };
  return (
    <Page title={t.title} lead={t.lead}>
      <Loaded resource={sessions}>
        {({ items }) => (
          <>
            <ul class="cards">
              {items.filter(isActive).map((session) => (
                <SessionCard key={session.id} session={session} onChange={sessions.reload} />
              ))}
            </ul>
            {items.filter(isActive).length > 1 && (
              <ConfirmButton title={t.endOthers} act={endOthers}>
                {t.endOthersExplained}
              </ConfirmButton>
            )}
          </>
        )}
      </Loaded>
    </Page>
  );
}

const isActive = ({ status }: Session): boolean => status === 'active';

function SessionCard({ session, onChange }: { session: Session; onChange: () => Promise<void> }) {
  const { id, device, current } = session;
  const { name } = device;
  const end = async () => {
    await request('DELETE /v1/sessions/{id}', { params: { id } });
    await onChange();
  };
  const rename = async (name: string) => {
    await request('PATCH /v1/devices/{id}', { params: { id: device.id }, body: { name } });
    await onChange();
  };
  return (
    <li class="card">
      <h2>
        {name} {current && <span class="badge good">{t.current}</span>}{' '}
        {session.binding && <span class="badge">{t.bound}</span>}
      </h2>
      <SessionFacts session={session} />
      <div class="actions">
        <RenameButton title={t.renameTitle} label={t.renameLabel(name)} name={name} rename={rename} />
        {!current && (
          <ConfirmButton title={t.end} label={t.endLabel(name)} act={end}>
            {t.endExplained(name)}
          </ConfirmButton>
        )}
      </div>
    </li>
  );
}

function SessionFacts({ session }: { session: Session }) {
  const { device, ip, country, createdAt, lastSeenAt } = session;
  const system = t.systemOf(device.browser, device.os);
  return (
    <dl>
      {system !== device.name && (
        <>
          <dt>{t.system}</dt>
          <dd>{system || t.unknown}</dd>
        </>
      )}
      <dt>{t.place}</dt>
      <dd>{[country, ip].filter(Boolean).join(' · ') || t.unknown}</dd>
      <dt>{t.lastSeen}</dt>
      <dd>
        <Time at={lastSeenAt} />
      </dd>
      <dt>{t.signedIn}</dt>
      <dd>
        <Time at={createdAt} />
      </dd>
    </dl>
  );
}
