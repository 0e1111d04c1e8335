import { useState } from 'preact/hooks';
import { texts } from '../../texts.js';
import { Button } from '../../ui/controls.js';
import { ErrorNotice, Notice } from '../../ui/notices.js';
import { AttackPages } from './attack-pages.js';
import { DecidingLines } from './deciding-lines.js';
import { Evidence } from './evidence.js';
import type { Act } from './heist-api.js';
import { Overdue } from './perform.js';
import { Comment, ScriptSource } from './script-source.js';
import type { Options, useHeist } from './use-heist.js';
import { SecondTry, Verdict } from './verdict.js';

const t = texts.heist;
/** The choice that an act offers, if it offers one. */
const CHOICES: Partial<Record<Act, keyof Options>> = { 2: 'contentSecurityPolicy', 3: 'inTabs' };

interface ActProps {
  act: Act;
  heist: ReturnType<typeof useHeist>;
}

export function ActSection({ act, heist }: ActProps) {
  const [isChosen, setChosen] = useState(false);
  const choice = CHOICES[act];
  const options = { contentSecurityPolicy: false, inTabs: false, ...(choice && { [choice]: isChosen }) };
  const isRunning = heist.active === act && heist.isRunning;
  return (
    <section class="card act">
      <h2>{t.actTitle(act, t.acts[act].title)}</h2>
      <p>{t.acts[act].explained}</p>
      <ScriptSource act={act} />
      {choice && (
        <label class="choice">
          <input
            type="checkbox"
            checked={isChosen}
            onChange={(event) => setChosen(event.currentTarget.checked)}
          />
          {t.choices[choice]}
        </label>
      )}
      <div class="actions">
        <Button kind="primary" isBusy={isRunning} onClick={() => heist.start(act, options)}>
          {heist.runs[act] ? t.runAgain(act) : t.run(act)}
        </Button>
      </div>
      <Outcome act={act} heist={heist} />
    </section>
  );
}

/** The pages of the act while they are open, and what came of it. */
function Outcome({ act, heist }: ActProps) {
  const run = heist.runs[act];
  const isActive = heist.active === act;
  const isDone = !!run?.report.result;
  return (
    <>
      {run && isActive && <AttackPages key={run.report.id} run={run} />}
      {run && act !== 3 && <Comment key={`comment ${run.report.id}`} act={act} id={run.report.id} />}
      {isActive && heist.isRunning && <p role="status">{run?.inTabs ? t.waiting : t.running}</p>}
      {isActive && <Failure error={heist.error} />}
      {isDone && <Verdict report={run.report} />}
      {isDone && act === 1 && (
        <SecondTry report={run.report} tryAgain={isActive ? () => heist.letThiefTryAgain(act) : undefined} />
      )}
      {isDone && <Evidence report={run.report} />}
      {isDone && <DecidingLines report={run.report} />}
    </>
  );
}

function Failure({ error }: { error: unknown }) {
  return error instanceof Overdue ? <Notice kind="bad">{t.overdue}</Notice> : <ErrorNotice error={error} />;
}
