import type { AdminUser, Receipt } from '@drawbridge/client';
import { useState } from 'preact/hooks';
import { request } from '../../api.js';
import { texts } from '../../texts.js';
import { ConfirmButton } from '../../ui/dialog.js';
import { Section } from '../../ui/page.js';
import { ReceiptStatus } from '../../ui/receipt-status.js';

const t = texts.admin;

interface SecondFactorSectionProps {
  user: AdminUser;
  onChange: () => Promise<void>;
}

/** For a user who has lost all second factors. The server refuses it for the admin's own account. */
export function SecondFactorSection({ user: { id, email }, onChange }: SecondFactorSectionProps) {
  const [receipt, setReceipt] = useState<Receipt | null>(null);
  const reset = async () => {
    const receipt = await request('DELETE /v1/admin/users/{id}/mfa', { params: { id } });
    await onChange();
    setReceipt(receipt);
  };
  return (
    <Section title={t.secondFactor}>
      <p>{t.secondFactorLead}</p>
      <ReceiptStatus receipt={receipt} done={t.secondFactorReset} endsSessions />
      <ConfirmButton title={t.resetSecondFactor} act={reset}>
        {t.resetSecondFactorExplained(email)}
      </ConfirmButton>
    </Section>
  );
}
