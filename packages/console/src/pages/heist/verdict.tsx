import { texts } from '../../texts.js';
import { Button } from '../../ui/controls.js';
import { ErrorNotice, Notice } from '../../ui/notices.js';
import { useAction } from '../../ui/use-action.js';
import type { Report, Result } from './heist-api.js';

const t = texts.heist;
const THIEF_WINS: Result[] = ['stolen', 'accepted', 'missed'];

export function Verdict({ report: { result } }: { report: Report }) {
  const kind = THIEF_WINS.includes(result!) ? 'bad' : 'good';
  const { label, says } = t.results[result!];
  return (
    <Notice kind={kind}>
      <strong class={`badge ${kind}`}>{label}</strong> {says}
    </Notice>
  );
}

interface SecondTryProps {
  report: Report;
  /** Absent if the forum's page is closed: the visitor can then not end the session there. */
  tryAgain?: () => Promise<void>;
}

/** Act 1 goes on: the owner ends the session in the forum, and the thief uses the stolen token again. */
export function SecondTry({ report: { uses }, tryAgain }: SecondTryProps) {
  const last = uses.length > 1 ? uses.at(-1)! : undefined;
  const isRefused = last?.status === 401;
  const kind = isRefused ? 'good' : 'bad';
  return (
    <>
      {tryAgain && !isRefused && <TryAgain tryAgain={tryAgain} />}
      {last && (
        <Notice kind={kind}>
          <strong class={`badge ${kind}`}>{last.status}</strong>{' '}
          {isRefused ? t.refusedNow(last.code ?? '') : t.worksStill}
        </Notice>
      )}
    </>
  );
}

function TryAgain({ tryAgain }: Required<Pick<SecondTryProps, 'tryAgain'>>) {
  const action = useAction(tryAgain);
  return (
    <>
      <p>{t.endSession}</p>
      <div class="actions">
        <Button isBusy={action.isRunning} onClick={action.run}>
          {t.tryAgain}
        </Button>
      </div>
      <ErrorNotice error={action.error} />
    </>
  );
}
