import { request } from '../../api.js';
import { sessionState } from '../../session.js';
import { texts } from '../../texts.js';
import { ConfirmButton } from '../../ui/dialog.js';

const t = texts.security;

async function remove(): Promise<void> {
  await request('DELETE /v1/users/me');
  sessionState.set({ kind: 'signed-out', ended: { reason: 'account_deleted' } });
}

export function DeleteAccount({ email }: { email: string }) {
  return (
    <>
      <p class="quiet">{t.removeExplained}</p>
      <ConfirmButton title={t.remove} typed={email} act={remove}>
        {t.removeConfirm}
      </ConfirmButton>
    </>
  );
}
