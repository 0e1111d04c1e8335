import type { Receipt } from '@drawbridge/client';
import { useEffect, useRef, useState } from 'preact/hooks';
import { texts } from '../../texts.js';
import { Button } from '../../ui/controls.js';
import { ReceiptStatus } from '../../ui/receipt-status.js';

const t = texts.access;

/** A secret that the server has shown once. */
export interface Secret {
  keyId: string;
  name: string;
  key: string;
  /** Of a rotation without overlap: when the former secret is refused everywhere. */
  receipt?: Receipt;
}

/** Shows a new secret until the user has stored it. It gets the focus, so that the user notices it. */
export function NewSecret({ secret, onDone }: { secret: Secret; onDone: () => void }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => ref.current?.focus(), []);
  return (
    <div class="notice good" role="group" aria-label={t.secretOf(secret.name)} tabIndex={-1} ref={ref}>
      <strong>{t.secretOf(secret.name)}</strong>
      <p>{t.secretOnce}</p>
      <p>
        <code class="secret">{secret.key}</code>
      </p>
      <div class="actions">
        <CopyButton text={secret.key} />
        <Button onClick={onDone}>{t.secretStored}</Button>
      </div>
      {secret.receipt && <ReceiptStatus receipt={secret.receipt} done={t.formerEnded} />}
    </div>
  );
}

/** Pages over plain HTTP on other hosts than localhost have no clipboard: the user copies the text by hand. */
function CopyButton({ text }: { text: string }) {
  const [isCopied, setCopied] = useState(false);
  if (!navigator.clipboard) return null;
  const copy = () => navigator.clipboard.writeText(text).then(() => setCopied(true));
  return (
    <>
      <Button kind="primary" onClick={copy}>
        {texts.common.copy}
      </Button>
      <span class="copied" role="status">
        {isCopied && texts.common.copied}
      </span>
    </>
  );
}
