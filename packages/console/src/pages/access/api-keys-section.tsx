import type { Receipt } from '@drawbridge/client';
import { useState } from 'preact/hooks';
import { request } from '../../api.js';
import { texts } from '../../texts.js';
import { ConfirmButton } from '../../ui/dialog.js';
import { Loaded } from '../../ui/notices.js';
import { Section } from '../../ui/page.js';
import { ReceiptStatus } from '../../ui/receipt-status.js';
import { useResource } from '../../ui/use-resource.js';
import { ApiKeyCard } from './api-key-card.js';
import { NewApiKeyButton } from './new-api-key-button.js';
import { NewSecret, type Secret } from './new-secret.js';
import { RotateButton } from './rotate-button.js';

const t = texts.access;

/** The API keys of the user: create, rotate, end. A new secret is shown once, and kept in this component only. */
export function ApiKeysSection() {
  const keys = useResource('GET /v1/api-keys');
  const scopes = useResource('GET /v1/api-keys/scopes');
  const [secret, setSecret] = useState<Secret | null>(null);
  const [ended, setEnded] = useState<Receipt | null>(null);
  const show = async (secret: Secret) => {
    await keys.reload();
    setEnded(null);
    setSecret(secret);
  };
  const end = async (id: string) => {
    const receipt = await request('DELETE /v1/api-keys/{id}', { params: { id } });
    await keys.reload();
    setSecret((secret) => (secret?.keyId === id ? null : secret));
    setEnded(receipt);
  };
  return (
    <Section title={t.keys}>
      <p class="lead">{t.keysLead}</p>
      {secret && <NewSecret key={secret.key} secret={secret} onDone={() => setSecret(null)} />}
      <ReceiptStatus receipt={ended} done={t.keyEnded} />
      <Loaded resource={keys} isEmpty={({ items }) => items.length === 0} empty={t.noKeys}>
        {({ items }) => (
          <ul class="cards">
            {items.map((key) => (
              <ApiKeyCard key={key.id} apiKey={key}>
                <RotateButton apiKey={key} onRotated={show} />
                <ConfirmButton title={t.endKey} label={t.endKeyLabel(key.name)} act={() => end(key.id)}>
                  {t.endKeyExplained(key.name)}
                </ConfirmButton>
              </ApiKeyCard>
            ))}
          </ul>
        )}
      </Loaded>
      <Loaded resource={scopes} isEmpty={({ items }) => items.length === 0} empty={t.noScopes}>
        {({ items }) => <NewApiKeyButton scopes={items} onCreated={show} />}
      </Loaded>
    </Section>
  );
}
