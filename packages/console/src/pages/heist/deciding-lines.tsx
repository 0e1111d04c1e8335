import { texts } from '../../texts.js';
import type { DecidingCode, Report } from './heist-api.js';

const t = texts.heist;

/** The source that decides the act, as it is now, and what the act does not show. */
export function DecidingLines({ report: { decidedBy, limits } }: { report: Report }) {
  return (
    <>
      <h3>{t.decidedBy}</h3>
      <ul>
        {decidedBy.map((code) => (
          <Line key={code.file + code.says} code={code} />
        ))}
      </ul>
      <h3>{t.limits}</h3>
      <ul>
        {limits.map((limit) => (
          <li key={limit}>
            <WithCode text={limit} />
          </li>
        ))}
      </ul>
    </>
  );
}

function Line({ code: { file, line, text, says } }: { code: DecidingCode }) {
  return (
    <li>
      {says}
      <br />
      <code>{line === null ? file : `${file}:${line}`}</code>
      <pre>{text ?? t.lineChanged}</pre>
    </li>
  );
}

/** The server marks names in a sentence with backticks. */
function WithCode({ text }: { text: string }) {
  return (
    <>{text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))}</>
  );
}
