import type { Receipt } from '@drawbridge/client';
import { useState } from 'preact/hooks';
import { request } from '../../api.js';
import { texts } from '../../texts.js';
import { ConfirmButton } from '../../ui/dialog.js';
import { Loaded } from '../../ui/notices.js';
import { Section } from '../../ui/page.js';
import { ReceiptStatus } from '../../ui/receipt-status.js';
import { ApiKeyCard } from '../access/api-key-card.js';
import type { UserRecords } from './use-user-records.js';

const t = texts.access;

/** The API keys of a user. An admin ends them, and never sees a secret. */
export function UserApiKeysSection({ records: { apiKeys } }: { records: UserRecords }) {
  const [ended, setEnded] = useState<Receipt | null>(null);
  const end = async (id: string) => {
    const receipt = await request('DELETE /v1/admin/api-keys/{id}', { params: { id } });
    await apiKeys.reload();
    setEnded(receipt);
  };
  return (
    <Section title={t.keys}>
      <ReceiptStatus receipt={ended} done={t.keyEnded} />
      <Loaded resource={apiKeys} isEmpty={({ items }) => items.length === 0} empty={t.noKeys}>
        {({ items }) => (
          <ul class="cards">
            {items.map((key) => (
              <ApiKeyCard key={key.id} apiKey={key}>
                <ConfirmButton title={t.endKey} label={t.endKeyLabel(key.name)} act={() => end(key.id)}>
                  {t.endKeyExplained(key.name)}
                </ConfirmButton>
              </ApiKeyCard>
            ))}
          </ul>
        )}
      </Loaded>
    </Section>
  );
}
