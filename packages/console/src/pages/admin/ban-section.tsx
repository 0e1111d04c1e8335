import type { AdminUser, Receipt } from '@drawbridge/client';
import { useState } from 'preact/hooks';
import { request } from '../../api.js';
import { texts } from '../../texts.js';
import { Button, Field } from '../../ui/controls.js';
import { exactTime, instantOf, localOf } from '../../ui/dates.js';
import { Definitions } from '../../ui/definitions.js';
import { FormDialog } from '../../ui/form-dialog.js';
import { ErrorNotice } from '../../ui/notices.js';
import { Section } from '../../ui/page.js';
import { ReceiptStatus } from '../../ui/receipt-status.js';
import { Time } from '../../ui/time.js';
import { useAction } from '../../ui/use-action.js';

const t = texts.admin;

interface BanSectionProps {
  user: AdminUser;
  onChange: () => Promise<void>;
}

/** Suspends the account, for some time or for good, or lifts the ban. */
export function BanSection({ user, onChange }: BanSectionProps) {
  const { id, banned } = user;
  const [changed, setChanged] = useState<{ receipt: Receipt; isBan: boolean } | null>(null);
  const ban = async ({ reason, until }: Record<string, string>) => {
    const body = { reason: reason!, until: instantOf(until!) };
    const receipt = await request('POST /v1/admin/users/{id}/ban', { params: { id }, body });
    await onChange();
    setChanged({ receipt, isBan: true });
  };
  const lift = useAction(async () => {
    const receipt = await request('DELETE /v1/admin/users/{id}/ban', { params: { id } });
    await onChange();
    setChanged({ receipt, isBan: false });
  });
  return (
    <Section title={t.suspension}>
      <ReceiptStatus
        receipt={changed?.receipt ?? null}
        done={changed?.isBan ? t.nowBanned : t.banLifted}
        endsSessions={changed?.isBan}
      />
      {banned ? <Ban user={user} /> : <p>{t.notBanned}</p>}
      <ErrorNotice error={lift.error} />
      {banned ? (
        <Button isBusy={lift.isRunning} onClick={lift.run}>
          {t.liftBan}
        </Button>
      ) : (
        <FormDialog kind="danger" title={t.ban} lead={t.banExplained} act={ban}>
          <Field label={t.banReason} hint={t.banReasonHint} name="reason" required maxLength={500} />
          <Field
            label={t.banUntil}
            hint={t.banUntilHint}
            name="until"
            type="datetime-local"
            min={localOf(new Date().toISOString())}
          />
        </FormDialog>
      )}
    </Section>
  );
}

function Ban({ user: { banReason, bannedAt, bannedUntil } }: { user: AdminUser }) {
  return (
    <Definitions
      entries={[
        [t.banReason, banReason],
        [t.bannedSince, <Time at={bannedAt} />],
        [t.banUntil, bannedUntil ? exactTime(bannedUntil) : t.untilLifted],
      ]}
    />
  );
}
