import { describe, expect, it } from '@jest/globals';
import type { Connections } from './connections.js';
import { MAX_HANDOVER_MS, QUIET_MS, Shutdown } from './shutdown.js';

const POLLS = 5;

/** A shutdown whose polls take the time that a test gives them. */
class PolledShutdown extends Shutdown {
  readonly network: { count: number; busy: boolean };
  readonly time: { now: number };
  /** The poll at which the instance stopped listening. */
  stoppedAt: number | undefined;
  polls = 0;

  constructor(
    /** Called during each poll; returns the milliseconds that the poll takes. */
    private readonly during: (poll: number, shutdown: PolledShutdown) => number,
  ) {
    const [network, time] = [{ count: 1, busy: false }, { now: 0 }];
    let stop = () => {};
    super(
      {
        get count() {
          return network.count;
        },
        areBusy: () => network.busy,
        closeAfterResponses: () => {},
        stopListening: () => stop(),
      } as unknown as Connections,
      { now: () => time.now, monotonic: () => time.now } as never,
      { shutdownDelay: 0, requestTimeout: 30_000 },
    );
    stop = () => (this.stoppedAt = this.polls);
    Object.assign(this, { network, time });
  }

  override async wait(ms: number): Promise<void> {
    if (ms > 0) this.time.now += this.during((this.polls += 1), this);
  }
}

describe('an instance that shuts down while its process gets no processor', () => {
  it('goes on listening until its event loop has turned, however much time has passed', async () => {
    const shutdown = new PolledShutdown(() => QUIET_MS);
    await shutdown.run();
    expect(shutdown.stoppedAt).toBe(POLLS);
  });

  it('begins to count anew when a request that arrived meanwhile is read', async () => {
    const shutdown = new PolledShutdown((poll, { noteRequest }) => {
      if (poll === 2) noteRequest.call(shutdown);
      return QUIET_MS;
    });
    await shutdown.run();
    expect(shutdown.stoppedAt).toBe(2 + POLLS - 1);
  });

  it('reads what has arrived on open connections before it closes them, and answers it', async () => {
    let answeredAt: number | undefined;
    const shutdown = new PolledShutdown((poll, { network, stoppedAt }) => {
      if (stoppedAt !== undefined && poll === stoppedAt + 3) {
        shutdown.noteRequest();
        network.busy = true;
      }
      if (stoppedAt !== undefined && poll === stoppedAt + 20) {
        network.busy = false;
        answeredAt = poll;
      }
      return QUIET_MS;
    });
    await shutdown.run();
    expect(shutdown.polls).toBeGreaterThanOrEqual(answeredAt!);
  });

  it('stops to listen at its bound when requests keep arriving', async () => {
    const shutdown = new PolledShutdown((_, { noteRequest }) => {
      noteRequest.call(shutdown);
      return 100;
    });
    await shutdown.run();
    expect(shutdown.stoppedAt).toBe(MAX_HANDOVER_MS / 100);
  });
});
