import { Events } from './events.mjs';
import { Histogram } from './histogram.mjs';
import { seeded } from './seeded.mjs';
import { MEASURED } from './measured.mjs';
import { SETTINGS } from './model.mjs';

/** As in `src/sessions/revocation/revocation-subscriber.ts`. */
const POLL_INTERVAL = 1_000;
const BLIND_AFTER = 5_000;
const ANSWER_TIMEOUT = 2_000;

/** One-way latency in milliseconds to the region of the database, by the number of the region: the first has it. */
const AWAY = [0.25, 35, 45, 75, 110];
/** Added to a latency, exponential, as a share of it. */
const JITTER = 0.15;
/** The delay of a busy event loop, exponential; chosen so that two instances match their measurement. */
const LOOP = 0.55;
/** From the first statement of a revocation to its last one, exponential. */
const WORK = 4;
/** A relay sends to each subscriber in turn, on the one thread of its Redis. */
const TELL = 0.002;
const HEARTBEAT = 1_000;
/** After the simulated time no new revocation begins, and everything must arrive. */
const PATIENCE = 60_000;

/**
 * @typedef {object} Plan
 * @property {number} instances in all regions together
 * @property {number} [regions] 1 to 5, with equal numbers of instances
 * @property {'listen' | 'poll' | 'relay'} [path] `listen` is today's code. `poll`: no notification arrives. `relay` is a
 * design: beside PostgreSQL one process for each region listens, and forwards numbered revocations and a heartbeat to that
 * region's instances through the Redis there.
 * @property {number} rate revocations a second
 * @property {number} [seconds] duration
 * @property {number} [cores] of PostgreSQL, for the feed alone
 * @property {number} [lost] share of notifications, and of messages of a relay, that never arrives
 * @property {{ share: number, from: number, to: number }} [cut] this share of PostgreSQL's followers (instances, or
 * relays) is cut off from it, in milliseconds
 * @property {number} [away] one-way latency within the first region, in milliseconds
 * @property {number} [commitMs] duration of a commit; commits that notify are serialised in all of PostgreSQL
 * @property {number} [seed]
 * @property {'xmin' | 'seq'} [cursor] `seq` counts the losses with sequence values
 * @property {'carried' | 'own'} [proof] `own`: an instance counts a message of a relay as fresh, however old
 * the relay's own news is
 */

/**
 * Simulates the revocation feed with many instances, event by event: serialised commits, notifications, polls that
 * share and queue for PostgreSQL's cores, latencies, losses.
 * @param {Plan} plan
 */
export function simulate(plan) {
  const { instances, regions = 1, path = 'listen', rate, seconds = 1, cores = 4, lost = 0, seed = 1 } = plan;
  const { away = AWAY[0], cursor = 'xmin', proof = 'carried', cut, commitMs = SETTINGS.commitMs } = plan;
  const random = seeded(seed);
  const exponential = (mean) => -mean * Math.log(1 - random());
  const events = new Events();
  const database = new Cores(cores);
  const revocations = commits({ rate, seconds, commitMs, takesTurns: path !== 'poll', exponential });
  const latency = new Histogram();
  const found = { applied: 0, late: 0, lies: 0, blindMs: 0, polls: 0, rows: 0 };
  const wanted = revocations.length * instances;

  const way = (region) => {
    const one = region === 0 ? away : AWAY[region];
    return one + exponential(one * JITTER);
  };
  const isCut = (place, at) => cut && place < cut.share * followers && at >= cut.from && at < cut.to;

  /** Every client of PostgreSQL: all instances, or one relay for each region. */
  const followers = path === 'relay' ? regions : instances;

  class Reader {
    provenAt = 0;
    lookedAt = 0;
    have = new Uint8Array(revocations.length);

    constructor(region) {
      this.region = region;
    }

    /** @returns whether it was news */
    apply(number) {
      if (this.have[number]) return false;
      this.have[number] = 1;
      return true;
    }

    /** From now on it refuses. An instance that has claimed to know everything from after the commit was wrong. */
    refuse(at, number, claimed) {
      if (!this.apply(number)) return;
      const after = at - revocations[number].commit;
      latency.add(after);
      found.applied += 1;
      found.late += after > BLIND_AFTER;
      found.lies += claimed > revocations[number].commit;
    }

    /** @param since the moment up to which it now knows everything @returns the previous such moment */
    prove(at, since) {
      const before = this.provenAt;
      found.blindMs += Math.max(0, at - Math.max(before + BLIND_AFTER, this.lookedAt));
      this.lookedAt = at;
      this.provenAt = Math.max(before, since);
      return before;
    }
  }

  /** As `RevocationSubscriber`: one poll at a time, one that waits, a connection that is abandoned after a while. */
  class Follower extends Reader {
    cursor = 0;
    running = false;
    queued = false;
    woken = false;

    constructor(place, region, learn) {
      super(region);
      Object.assign(this, { place, learn });
      events.at(random() * POLL_INTERVAL, (at) => this.tick(at));
    }

    tick(at) {
      this.catchUp(at);
      events.at(at + POLL_INTERVAL, (next) => this.tick(next));
    }

    /** A backend with a pending signal is not signalled again. */
    hear(at) {
      if (this.woken) return;
      this.woken = true;
      const served = database.serve(at, MEASURED.wake.value / 1_000);
      events.at(served, (now) => {
        this.woken = false;
        if (random() < lost || isCut(this.place, now)) return;
        events.at(now + way(this.region) + exponential(LOOP), (heard) => this.catchUp(heard));
      });
    }

    catchUp(at) {
      if (this.running) {
        this.queued = true;
        return;
      }
      this.running = true;
      if (isCut(this.place, at)) {
        events.at(at + ANSWER_TIMEOUT, (now) => this.end(now));
        return;
      }
      events.at(at + way(this.region), (asked) => this.read(asked, at));
    }

    read(asked, startedAt) {
      found.polls += 1;
      const snapshot = database.free(asked);
      const { seen, next } = visible(this.cursor, snapshot);
      found.rows += seen.length;
      const answered = database.serve(
        asked,
        (MEASURED.poll.value + seen.length * MEASURED.notice.value) / 1_000,
      );
      events.at(answered + way(this.region) + exponential(LOOP), (at) => {
        this.cursor = next;
        this.learn(this, at, seen, startedAt);
        this.end(at);
      });
    }

    end(at) {
      this.running = false;
      if (!this.queued) return;
      this.queued = false;
      this.catchUp(at);
    }
  }

  /** The revocations that a snapshot shows from a cursor on, and the start of the next one. */
  function visible(from, snapshot) {
    const seen = [];
    let next = -1;
    let number = from;
    for (; number < revocations.length && revocations[number].begin <= snapshot; number++) {
      if (revocations[number].commit <= snapshot) seen.push(number);
      else if (next < 0) next = number;
    }
    if (cursor === 'seq') return { seen, next: seen.length > 0 ? seen.at(-1) + 1 : from };
    return { seen, next: next < 0 ? number : next };
  }

  /** Today: every instance follows PostgreSQL. */
  function directly() {
    return Array.from({ length: instances }, (_, place) => new Follower(place, place % regions, refuseAll));
  }

  /**
   * The design: a relay numbers its revocations and sends them; an instance that misses a number requests the gap.
   */
  function throughRelays() {
    return Array.from({ length: regions }, (_, region) => {
      const local = Array.from({ length: Math.ceil((instances - region) / regions) }, () =>
        Object.assign(new Reader(region), { got: 0 }),
      );
      const log = [];
      const bus = new Cores(1);
      const tell = (at) => {
        const [upTo, since] = [log.length, relay.provenAt];
        for (const reader of local) {
          const sent = bus.serve(at, TELL);
          if (random() < lost) continue;
          events.at(sent + way(region) + exponential(LOOP), (now) => {
            const deliver = (then) => {
              const claimed = reader.prove(then, proof === 'own' ? then : since);
              for (; reader.got < upTo; reader.got++)
                for (const number of log[reader.got]) reader.refuse(then, number, claimed);
            };
            // An earlier number is missing: the log in the Redis there has it, one more round trip away.
            if (reader.got < upTo - 1) events.at(now + 2 * away + exponential(LOOP), deliver);
            else deliver(now);
          });
        }
      };
      const learn = (self, at, seen, startedAt) => {
        self.provenAt = startedAt;
        const news = seen.filter((number) => self.apply(number));
        if (news.length === 0) return;
        log.push(news);
        tell(at);
      };
      const relay = new Follower(region, 0, learn);
      const beat = (at) => {
        tell(at);
        events.at(at + HEARTBEAT, beat);
      };
      events.at(random() * HEARTBEAT, beat);
      return relay;
    });
  }

  const listeners = path === 'relay' ? throughRelays() : directly();
  if (path !== 'poll')
    for (const { commit } of revocations)
      events.at(commit, (at) => {
        for (const listener of listeners) listener.hear(at);
      });

  const lastCommit = revocations.reduce((latest, { commit }) => Math.max(latest, commit), 0);
  events.run(lastCommit + PATIENCE, () => found.applied === wanted && events.now > seconds * 1_000);
  const spent = Math.max(seconds * 1_000, lastCommit);
  const waits = new Histogram();
  for (const { ready, commit } of revocations) waits.add(commit - ready - commitMs);
  return {
    revocations: revocations.length,
    wanted,
    ...found,
    p50: latency.percentile(0.5),
    p99: latency.percentile(0.99),
    max: latency.max,
    turnP99: waits.percentile(0.99),
    committedPerSecond: (revocations.length * 1_000) / spent,
    pollsPerSecond: (found.polls * 1_000) / Math.max(spent, events.now),
    databaseCores: database.worked / Math.max(spent, events.now),
  };
}

function refuseAll(reader, at, seen, startedAt) {
  const claimed = reader.prove(at, startedAt);
  for (const number of seen) reader.refuse(at, number, claimed);
}

/** When each one gets its transaction id, and when it has committed. Commits that notify are serialised. */
function commits({ rate, seconds, commitMs, takesTurns, exponential }) {
  const all = [];
  for (let begin = exponential(1_000 / rate); begin < seconds * 1_000; begin += exponential(1_000 / rate))
    all.push({ begin, ready: begin + exponential(WORK), commit: 0 });
  if (all.length === 0) all.push({ begin: 0, ready: WORK, commit: 0 });
  let free = 0;
  for (const one of [...all].sort((a, b) => a.ready - b.ready)) {
    one.commit = (takesTurns ? Math.max(one.ready, free) : one.ready) + commitMs;
    free = one.commit;
  }
  return all;
}

/** Some cores with a queue in front of them. The times are exact if requests are made in the order of time. */
class Cores {
  worked = 0;

  constructor(count) {
    this.freeAt = Array.from({ length: count }, () => 0);
  }

  /** The start of work that arrives now. */
  free(at) {
    return Math.max(at, Math.min(...this.freeAt));
  }

  /** @returns when it is done */
  serve(at, work) {
    const core = this.freeAt.indexOf(Math.min(...this.freeAt));
    this.worked += work;
    return (this.freeAt[core] = Math.max(at, this.freeAt[core]) + work);
  }
}
