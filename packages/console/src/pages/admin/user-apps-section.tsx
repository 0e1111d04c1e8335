import { ApiProblem, type Receipt } from '@drawbridge/client';
import { useEffect, useState } from 'preact/hooks';
import { request } from '../../api.js';
import { texts } from '../../texts.js';
import { ConfirmButton } from '../../ui/dialog.js';
import { Loaded } from '../../ui/notices.js';
import { Section } from '../../ui/page.js';
import { ReceiptStatus } from '../../ui/receipt-status.js';
import { useResource } from '../../ui/use-resource.js';
import { AppCard } from '../access/app-card.js';
import type { UserRecords } from './use-user-records.js';

const t = texts.access;

interface UserAppsSectionProps {
  userId: string;
  records: UserRecords;
}

/** The apps with access on behalf of a user. Hidden if the server has no such list. */
export function UserAppsSection({ userId, records: { reloads } }: UserAppsSectionProps) {
  const grants = useResource('GET /v1/admin/users/{id}/grants', { params: { id: userId } });
  const [ended, setEnded] = useState<Receipt | null>(null);
  useEffect(() => {
    if (reloads > 0) void grants.reload();
  }, [reloads]);
  if (grants.error instanceof ApiProblem && grants.error.status === 404) return null;
  const end = async (id: string) => {
    const receipt = await request('DELETE /v1/admin/grants/{id}', { params: { id } });
    await grants.reload();
    setEnded(receipt);
  };
  return (
    <Section title={t.apps}>
      <ReceiptStatus receipt={ended} done={t.appEnded} />
      <Loaded resource={grants} isEmpty={({ items }) => items.length === 0} empty={t.noAppsOfUser}>
        {({ items }) => (
          <ul class="cards">
            {items.map((grant) => (
              <AppCard key={grant.id} grant={grant}>
                <ConfirmButton
                  title={t.endApp}
                  label={t.endAppLabel(grant.app.name)}
                  act={() => end(grant.id)}
                >
                  {t.endAppExplained(grant.app.name)}
                </ConfirmButton>
              </AppCard>
            ))}
          </ul>
        )}
      </Loaded>
    </Section>
  );
}
