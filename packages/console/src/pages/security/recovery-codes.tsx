import { useState } from 'preact/hooks';
import { configuration } from '../../configuration.js';
import { texts } from '../../texts.js';
import { Button } from '../../ui/controls.js';
import { ErrorNotice } from '../../ui/notices.js';
import { useAction } from '../../ui/use-action.js';
import { useFocus } from '../../ui/use-focus.js';

const t = texts.security;

/** Shows recovery codes once. They are in the memory of this component only. */
export function RecoveryCodes({ codes, onDone }: { codes: string[]; onDone: () => void }) {
  const heading = useFocus<HTMLHeadingElement>();
  const [isCopied, setCopied] = useState(false);
  const copy = useAction(async () => {
    await navigator.clipboard.writeText(codes.join('\n'));
    setCopied(true);
  });
  return (
    <div class="codes">
      <h3 ref={heading} tabIndex={-1}>
        {t.codesTitle}
      </h3>
      <p>{t.codesExplained}</p>
      <ol>
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ol>
      <div class="actions">
        <Button kind="primary" onClick={onDone}>
          {t.codesKept}
        </Button>
        <Button onClick={copy.run}>{isCopied ? texts.common.copied : texts.common.copy}</Button>
        <Button onClick={() => download(codes)}>{t.download}</Button>
        <Button onClick={() => print()}>{t.print}</Button>
      </div>
      <ErrorNotice error={copy.error} />
    </div>
  );
}

function download(codes: string[]): void {
  const lines = [`${configuration.product}: ${t.codesTitle}`, '', ...codes, ''];
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([lines.join('\n')], { type: 'text/plain' }));
  link.download = t.codesFile;
  link.click();
  URL.revokeObjectURL(link.href);
}
