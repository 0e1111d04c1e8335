import type { ApiKey } from '@drawbridge/client';
import { request } from '../../api.js';
import { texts } from '../../texts.js';
import { Select } from '../../ui/choices.js';
import { FormDialog } from '../../ui/form-dialog.js';
import type { Secret } from './new-secret.js';

const t = texts.access;
const HOUR_S = 3_600;

/** How long the former secret is accepted. */
const OVERLAPS = [
  [String(24 * HOUR_S), t.overlapDay],
  [String(HOUR_S), t.overlapHour],
  ['0', t.overlapNone],
] as const;

interface RotateButtonProps {
  apiKey: ApiKey;
  onRotated: (secret: Secret) => Promise<void>;
}

/** Gives a key a new secret. */
export function RotateButton({ apiKey: { id, name }, onRotated }: RotateButtonProps) {
  const rotate = async (values: Record<string, string>) => {
    const overlapSeconds = Number(values['overlapSeconds']);
    const body = { overlapSeconds };
    const { key, receipt } = await request('POST /v1/api-keys/{id}/rotate', { params: { id }, body });
    await onRotated({ keyId: id, name, key, receipt: overlapSeconds === 0 ? receipt : undefined });
  };
  return (
    <FormDialog
      title={t.rotate}
      opener="plain"
      label={t.rotateLabel(name)}
      lead={t.rotateExplained}
      act={rotate}
    >
      <Select label={t.overlapChoice} name="overlapSeconds" options={[...OVERLAPS]} />
    </FormDialog>
  );
}
