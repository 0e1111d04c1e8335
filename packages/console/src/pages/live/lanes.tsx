import { texts } from '../../texts.js';
import { Time } from '../../ui/time.js';
import type { Follower, LiveInstance } from './live-events.js';
import type { Revocation } from './live-state.js';
import { Track } from './track.js';

const t = texts.live;
/** An instance may have 50 in the report, and more that it only counts. */
const MAX_FOLLOWERS = 10;
const SHORT_ID = 8;

interface LaneProps {
  revocations: Revocation[];
  /** The revocation whose delay each lane says. */
  selected: Revocation | undefined;
  onSelect: (seq: number) => void;
  now: number;
}

/** A lane for each instance, and below it one for each verifier that follows it. */
export function Lanes({ instances, ...lanes }: LaneProps & { instances: LiveInstance[] }) {
  const { selected } = lanes;
  return (
    <div class="card lanes">
      <p class="lane-head quiet">{selected ? t.delayOf(selected.seq) : t.noDelay}</p>
      <ul>
        {instances.map((instance) => (
          <InstanceLanes key={instance.id} instance={instance} {...lanes} />
        ))}
      </ul>
      <p class="lane-axis quiet" aria-hidden="true">
        <span>{t.minuteAgo}</span>
        <span>{t.now}</span>
      </p>
    </div>
  );
}

function InstanceLanes({ instance, ...lanes }: LaneProps & { instance: LiveInstance }) {
  const { id, name, state, startedAt, connections, feedAgeMs, followers, followerCount } = instance;
  const shown = followers.slice(0, MAX_FOLLOWERS);
  return (
    <li class={state}>
      <div class="lane">
        <div class="lane-name">
          <strong>{name}</strong> <code title={id}>{id.slice(0, SHORT_ID)}</code>{' '}
          <span class={`badge ${state === 'current' ? 'good' : 'bad'}`}>{t.states[state].name}</span>
          <small class="quiet">
            {t.connections(connections)} · {t.started} <Time at={new Date(startedAt).toISOString()} /> ·{' '}
            {t.feedAge(feedAgeMs)}
          </small>
          {state !== 'current' && <small>{t.states[state].explained}</small>}
        </div>
        <Arrivals lane={id} {...lanes} />
      </div>
      {followerCount > 0 && (
        <ul aria-label={t.verifiersOf(name)}>
          {shown.map((follower) => (
            <VerifierLane key={follower.id} follower={follower} {...lanes} />
          ))}
          {followerCount > shown.length && (
            <li class="quiet">{t.moreVerifiers(followerCount - shown.length)}</li>
          )}
        </ul>
      )}
    </li>
  );
}

function VerifierLane({ follower: { id, name }, ...lanes }: LaneProps & { follower: Follower }) {
  return (
    <li class="lane">
      <div class="lane-name">
        {name} <code title={id}>{id.slice(0, SHORT_ID)}</code>
        <small class="quiet">{t.verifier}</small>
      </div>
      <Arrivals lane={id} {...lanes} />
    </li>
  );
}

function Arrivals({ lane, revocations, selected, onSelect, now }: LaneProps & { lane: string }) {
  return (
    <>
      <Track lane={lane} revocations={revocations} selected={selected?.seq} onSelect={onSelect} now={now} />
      <p class="lane-delay">{selected && <Delay lane={lane} revocation={selected} />}</p>
    </>
  );
}

/** The delay of a revocation at a lane, in words. */
function Delay({ lane, revocation: { arrivals, pending } }: { lane: string; revocation: Revocation }) {
  const arrival = arrivals.find((arrival) => arrival.lane === lane);
  if (arrival) return <strong>{t.delay(arrival.delayMs, arrival.errorMs)}</strong>;
  return <span class="quiet">{pending.includes(lane) ? t.pending : t.notReported}</span>;
}
