import { request } from '../../api.js';
import { texts } from '../../texts.js';
import { CheckList, checkedOf } from '../../ui/choices.js';
import { Field } from '../../ui/controls.js';
import { instantOf, localOf } from '../../ui/dates.js';
import { FormDialog } from '../../ui/form-dialog.js';
import type { Secret } from './new-secret.js';

const t = texts.access;

interface NewApiKeyButtonProps {
  /** What keys of the user may do. */
  scopes: { scope: string; description: string }[];
  onCreated: (secret: Secret) => Promise<void>;
}

export function NewApiKeyButton({ scopes, onCreated }: NewApiKeyButtonProps) {
  const create = async (values: Record<string, string>) => {
    const { name, expiresAt, networks } = values as { name: string; expiresAt: string; networks: string };
    const body = {
      name,
      scopes: checkedOf(values, 'scope'),
      expiresAt: instantOf(expiresAt),
      networks: networks.split(/[\s,]+/).filter(Boolean),
    };
    const { id, key } = await request('POST /v1/api-keys', { body });
    await onCreated({ keyId: id, name, key });
  };
  return (
    <FormDialog title={t.newKey} act={create}>
      <Field label={t.name} hint={t.nameHint} name="name" required maxLength={100} autocomplete="off" />
      <CheckList
        legend={t.scopes}
        name="scope"
        choices={scopes.map(({ scope, description }) => ({ value: scope, text: scope, hint: description }))}
      />
      <Field
        label={t.expires}
        hint={t.expiresHint}
        name="expiresAt"
        type="datetime-local"
        min={localOf(new Date().toISOString())}
      />
      <Field label={t.networks} hint={t.networksHint} name="networks" autocomplete="off" />
    </FormDialog>
  );
}
