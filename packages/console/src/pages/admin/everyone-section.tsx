import type { Receipt } from '@drawbridge/client';
import { request } from '../../api.js';
import { Store, useStore } from '../../store.js';
import { texts } from '../../texts.js';
import { ConfirmButton } from '../../ui/dialog.js';
import { Section } from '../../ui/page.js';
import { ReceiptStatus } from '../../ui/receipt-status.js';

const t = texts.admin;

/** Outlives the page: the admin is signed out as well, signs in again here, and then sees the progress. */
const lastReceipt = new Store<Receipt | null>(null);

export function EveryoneSection({ onEnded }: { onEnded: () => Promise<void> }) {
  const receipt = useStore(lastReceipt);
  const end = async () => {
    lastReceipt.set(await request('POST /v1/admin/sessions/end-all', { body: { confirm: 'everyone' } }));
    await onEnded();
  };
  return (
    <Section title={t.everyone}>
      <p>{t.everyoneLead}</p>
      <ReceiptStatus receipt={receipt} done={t.everyoneEnded} endsSessions />
      <ConfirmButton title={t.endEveryone} typed="everyone" act={end}>
        {t.endEveryoneExplained}
      </ConfirmButton>
    </Section>
  );
}
