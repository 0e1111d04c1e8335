import { useState } from 'preact/hooks';
import { texts } from '../texts.js';
import { Button } from '../ui/controls.js';
import { ErrorNotice, Loading, Notice } from '../ui/notices.js';
import { Page, Section } from '../ui/page.js';
import { Charts } from './live/charts.js';
import { Lanes } from './live/lanes.js';
import type { LiveInstance } from './live/live-events.js';
import { progressOf, WINDOW_MS, type LiveState, type Revocation } from './live/live-state.js';
import { RevocationList } from './live/revocation-list.js';
import { useLive, useNow } from './live/use-live.js';

const t = texts.live;
const TICK_MS = 1_000;
/** A shorter gap is not worth a message: the stream is opened again when the access token is refreshed. */
const SHORT_GAP_MS = 1_500;
/** Most lanes have reported by then, so that one announcement is enough. */
const ANNOUNCED_AFTER_MS = 1_000;

/** All instances and verifiers, and each revocation as it arrives there. */
export default function LivePage() {
  const { state, error, retry } = useLive();
  const now = useNow(TICK_MS);
  return (
    <Page title={t.title} lead={t.lead}>
      {error !== undefined && (
        <>
          <ErrorNotice error={error} />
          <Button onClick={retry}>{texts.common.tryAgain}</Button>
        </>
      )}
      {error === undefined && <Interruptions state={state} now={now} />}
      {state.instances && <View state={state} instances={state.instances} now={now} />}
      <Announcement revocation={state.revocations.find(({ seenAt }) => now - seenAt >= ANNOUNCED_AFTER_MS)} />
    </Page>
  );
}

function Interruptions({ state, now }: { state: LiveState; now: number }) {
  const { instances, lostAt, droppedAt } = state;
  const isLost = lostAt !== null && now - lostAt > SHORT_GAP_MS;
  if (isLost) return <Notice kind="bad">{instances ? t.lost : t.unreached}</Notice>;
  if (!instances) return <Loading />;
  if (droppedAt !== null && now - droppedAt < WINDOW_MS) return <Notice>{t.dropped}</Notice>;
  return null;
}

interface ViewProps {
  state: LiveState;
  instances: LiveInstance[];
  now: number;
}

function View({ state: { revocations, samples, totals }, instances, now }: ViewProps) {
  const [chosen, setChosen] = useState<number>();
  const selected = revocations.find(({ seq }) => seq === chosen) ?? revocations[0];
  const choose = (seq: number) => setChosen(seq === chosen ? undefined : seq);
  const isAlone = instances.length === 1 && instances[0]!.followerCount === 0;
  return (
    <>
      <Section title={t.lanes}>
        {isAlone && <p class="empty">{t.alone}</p>}
        <Lanes
          instances={instances}
          revocations={revocations}
          selected={selected}
          onSelect={choose}
          now={now}
        />
      </Section>
      <Section title={t.lastMinute}>
        <Charts samples={samples} totals={totals} now={now} />
      </Section>
      <Section title={t.revocations}>
        <RevocationList revocations={revocations} selected={chosen} onSelect={choose} />
      </Section>
    </>
  );
}

/** Says the newest revocation to screen readers. */
function Announcement({ revocation }: { revocation: Revocation | undefined }) {
  const { reached, lanes, slowest } = revocation ? progressOf(revocation) : {};
  return (
    <p class="visually-hidden" role="status">
      {revocation &&
        t.announced(
          revocation.seq,
          t.kinds[revocation.kind],
          revocation.reason,
          reached!,
          lanes!,
          slowest?.delayMs,
        )}
    </p>
  );
}
