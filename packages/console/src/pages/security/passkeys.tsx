import type { Passkey } from '@drawbridge/client';
import { addPasskey } from '@drawbridge/client/passkeys';
import { useState } from 'preact/hooks';
import { api, asChange, request, withProof } from '../../api.js';
import { hasPasskeys } from '../../passkeys.js';
import { texts } from '../../texts.js';
import { Button, Field, Form } from '../../ui/controls.js';
import { ConfirmButton, Dialog } from '../../ui/dialog.js';
import { Loaded, Notice } from '../../ui/notices.js';
import { RenameButton } from '../../ui/rename-button.js';
import { Time } from '../../ui/time.js';
import { useAction } from '../../ui/use-action.js';
import { useResource } from '../../ui/use-resource.js';

const t = texts.security;

/** The passkeys of the user. @param onAdded called when there is a new one */
export function Passkeys({ onAdded }: { onAdded?: () => unknown }) {
  const passkeys = useResource('GET /v1/auth/passkeys');
  const [isAdded, setAdded] = useState(false);
  const noteAdded = async () => {
    setAdded(true);
    await passkeys.reload();
    await onAdded?.();
  };
  return (
    <>
      <p class="quiet">{t.passkeysExplained}</p>
      <Loaded resource={passkeys} isEmpty={({ items }) => items.length === 0} empty={t.noPasskeys}>
        {({ items }) => (
          <ul class="cards">
            {items.map((passkey) => (
              <PasskeyCard key={passkey.id} passkey={passkey} onChange={passkeys.reload} />
            ))}
          </ul>
        )}
      </Loaded>
      {isAdded && <Notice kind="good">{t.passkeyAdded}</Notice>}
      {hasPasskeys ? <AddPasskey onAdded={noteAdded} /> : <p>{t.passkeysUnsupported}</p>}
    </>
  );
}

function PasskeyCard({ passkey, onChange }: { passkey: Passkey; onChange: () => Promise<void> }) {
  const { id, name, synced, createdAt, lastUsedAt } = passkey;
  const params = { id };
  const rename = async (name: string) => {
    await request('PATCH /v1/auth/passkeys/{id}', { params, body: { name } });
    await onChange();
  };
  const remove = async () => {
    await request('DELETE /v1/auth/passkeys/{id}', { params });
    await onChange();
  };
  return (
    <li class="card">
      <h3>
        {name} {synced && <span class="badge">{t.synced}</span>}
      </h3>
      <dl>
        <dt>{t.passkeyCreated}</dt>
        <dd>
          <Time at={createdAt} />
        </dd>
        <dt>{t.passkeyUsed}</dt>
        <dd>
          <Time at={lastUsedAt} />
        </dd>
      </dl>
      <div class="actions">
        <RenameButton title={t.renamePasskeyTitle} label={t.renameLabel(name)} name={name} rename={rename} />
        <ConfirmButton title={t.removePasskey} label={t.removeLabel(name)} act={remove}>
          {t.removePasskeyExplained(name)}
        </ConfirmButton>
      </div>
    </li>
  );
}

function AddPasskey({ onAdded }: { onAdded: () => Promise<void> }) {
  const [isOpen, setOpen] = useState(false);
  const close = () => {
    setOpen(false);
    add.clear();
  };
  const add = useAction(async ({ name }: Record<string, string>) => {
    await withProof(() => asChange(() => addPasskey(api, { name: name || undefined })));
    close();
    await onAdded();
  });
  return (
    <>
      <Button onClick={() => setOpen(true)}>{t.addPasskey}</Button>
      {isOpen && (
        <Dialog title={t.addPasskey} onClose={close}>
          <p>{t.addPasskeyExplained}</p>
          <Form
            action={add}
            submit={t.addPasskey}
            beside={<Button onClick={close}>{texts.common.cancel}</Button>}
          >
            <Field
              label={t.passkeyName}
              hint={t.passkeyNameHint}
              name="name"
              maxLength={100}
              autocomplete="off"
              autofocus
            />
          </Form>
        </Dialog>
      )}
    </>
  );
}
