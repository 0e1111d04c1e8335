import { useEffect, useState } from 'preact/hooks';
import { request } from '../api.js';
import { sessionState } from '../session.js';
import { useStore } from '../store.js';
import { texts } from '../texts.js';
import { Button } from '../ui/controls.js';
import { ConfirmButton } from '../ui/dialog.js';
import { Notice } from '../ui/notices.js';
import { Page } from '../ui/page.js';
import { useAction } from '../ui/use-action.js';
import { probe, TIERS, type Sample, type Tier } from './playground/probe.js';

const t = texts.playground;
const INTERVAL_MS = 1_000;
const MAX_SHOWN = 8;

/** The same request on two tiers, side by side. The page stays when the session ends, so that both refusals are seen. */
export default function PlaygroundPage() {
  const session = useStore(sessionState);
  const [samples, setSamples] = useState<Record<Tier, Sample[]>>({ access: [], session: [] });
  const [isRepeating, setRepeating] = useState(false);
  const send = useAction(async () => {
    const [access, session] = await Promise.all([probe('access'), probe('session')]);
    setSamples((before) => ({
      access: [access, ...before.access].slice(0, MAX_SHOWN),
      session: [session, ...before.session].slice(0, MAX_SHOWN),
    }));
  });
  useEffect(() => {
    if (!isRepeating) return;
    const timer = setInterval(() => void send.run(), INTERVAL_MS);
    return () => clearInterval(timer);
  }, [isRepeating]);
  return (
    <Page title={t.title} lead={t.lead}>
      {session.kind === 'signed-out' && <Notice kind="bad">{session.ended ? t.ended : t.signInFirst}</Notice>}
      <div class="actions">
        <Button kind="primary" onClick={send.run}>
          {t.send}
        </Button>
        <Button onClick={() => setRepeating(!isRepeating)}>{isRepeating ? t.stop : t.repeat}</Button>
        {session.kind === 'signed-in' && <EndButton id={session.session.id} />}
      </div>
      <div class="tiers">
        {(['access', 'session'] as const).map((tier) => (
          <TierSamples key={tier} tier={tier} samples={samples[tier]} />
        ))}
      </div>
      <p class="lead">{t.explained}</p>
    </Page>
  );
}

/** Ends the session as another device would: the cookies stay, and the server refuses them. */
function EndButton({ id }: { id: string }) {
  return (
    <ConfirmButton title={t.end} act={() => request('DELETE /v1/sessions/{id}', { params: { id } })}>
      {t.endExplained}
    </ConfirmButton>
  );
}

function TierSamples({ tier, samples }: { tier: Tier; samples: Sample[] }) {
  return (
    <section>
      <h2>{t.tiers[tier].title}</h2>
      <p class="lead">
        <code>GET {TIERS[tier]}</code>. {t.tiers[tier].explained}
      </p>
      {samples.length === 0 ? <p class="empty">{t.empty}</p> : <SampleTable tier={tier} samples={samples} />}
    </section>
  );
}

function SampleTable({ tier, samples }: { tier: Tier; samples: Sample[] }) {
  return (
    <div class="table" tabIndex={0} role="region" aria-label={t.tiers[tier].title}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t.answer}</th>
            <th scope="col">{t.roundTrip}</th>
            <th scope="col">{t.check}</th>
          </tr>
        </thead>
        <tbody>
          {samples.map(({ at, status, code, reason, roundTrip, check }) => (
            <tr key={at}>
              <td>
                <span class={`badge ${status === 200 ? 'good' : 'bad'}`}>{status}</span>{' '}
                {[code, reason].filter(Boolean).join(' · ')}
              </td>
              <td>{t.milliseconds(roundTrip.toFixed(1))}</td>
              <td>
                {check ? t.checkedBy(t.stores[check.store] ?? check.store, check.duration) : t.notMeasured}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
