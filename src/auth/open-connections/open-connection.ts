import { Problem } from '../../platform/api/problem.js';
import type { Clock } from '../../platform/runtime/clock.js';
import type { Admission } from './admission.js';

/** Messages that wait for a client that does not read. With more of them, the connection is destroyed. */
const MAX_WAITING = 1_000;
/**
 * A message is sent within this time after its check began. An instance that was paused in between checks again, so
 * that it cannot send by an outdated check.
 */
const MAX_CHECK_AGE_MS = 250;
const MAX_CHECKS = 3;

/** The transport of an open connection. */
export interface Channel<Message> {
  /** Resolves when the operating system has taken everything that was written. */
  flushed(): Promise<void>;
  write(message: Message): void;
  /** Finds out whether the client is still there. */
  ping(): void;
  /** Tells the client the reason, if the client reads, and closes. */
  end(problem: Problem): void;
  /** Closes after the last message. */
  finish(): void;
  /** Closes at once. The client does not get the rest of what was written. */
  destroy(): void;
}

/** How the instance regards its open connections now. */
export interface Watch {
  readonly clock: Clock;
  /** Whether every message of the access tier needs a check: this instance is blind, and `ACCESS_WHEN_BLIND=session`. */
  mustCheck(): boolean;
  /** @throws Problem `auth.unavailable` if this instance is blind and the connection may not go on */
  requireSight(admission: Admission): void;
  /** The server has ended a connection. */
  ended(problem: Problem): void;
  closed(connection: OpenConnection<unknown>): void;
}

/**
 * An event stream, a WebSocket or a long response. It ends with the session, key or grant of its caller: no message is
 * sent without a check, and a notice of the revocation feed closes the connection.
 */
export class OpenConnection<Message> {
  lastSentAt: number;
  private until: number;
  private readonly waiting: Message[] = [];
  private isSending = false;
  private isFinishing = false;
  private isClosed = false;

  /** @param admission null on a public route */
  constructor(
    readonly admission: Admission | null,
    private readonly channel: Channel<Message>,
    private readonly watch: Watch,
  ) {
    this.until = admission?.until ?? Infinity;
    this.lastSentAt = watch.clock.monotonic();
  }

  get isOpen(): boolean {
    return !this.isClosed;
  }

  /** Sends a message after the messages before it. Each one is checked just before it is sent. */
  send(message: Message): void {
    if (this.isClosed || this.isFinishing) return;
    if (this.waiting.push(message) > MAX_WAITING) return this.destroy();
    this.startSending();
  }

  /** Closes when all messages have been sent. */
  finish(): void {
    this.isFinishing = true;
    this.startSending();
  }

  /**
   * Resolves if the caller is admitted now. Otherwise it ends the connection.
   *
   * @returns false if the connection is closed
   */
  async admit(): Promise<boolean> {
    try {
      for (let checks = 0; !this.isClosed; checks += 1) {
        const startedAt = this.watch.clock.monotonic();
        await this.check();
        if (this.watch.clock.monotonic() - startedAt <= MAX_CHECK_AGE_MS) return !this.isClosed;
        if (checks >= MAX_CHECKS) throw new Problem('auth.unavailable');
      }
    } catch (error) {
      this.end(problemOf(error));
    }
    return false;
  }

  /** Checks the credential against the stores now, whenever the last check was. */
  async recheck(): Promise<void> {
    this.until = 0;
    await this.admit();
  }

  /** Ends the connection if the caller is refused without I/O. Otherwise it checks a credential whose check is due. */
  review(): void {
    if (this.admission === null) return;
    try {
      this.watch.requireSight(this.admission);
      const objection = this.admission.objection();
      if (objection) throw objection;
    } catch (error) {
      return this.end(problemOf(error));
    }
    if (this.watch.clock.now() >= this.until || this.watch.mustCheck()) void this.admit();
  }

  /** Writes nothing that the client would take for a message. */
  ping(): void {
    if (this.isSending) return;
    this.lastSentAt = this.watch.clock.monotonic();
    this.channel.ping();
  }

  /** Ends the connection and tells the client why. */
  end(problem: Problem): void {
    if (this.isClosed) return;
    this.close();
    this.watch.ended(problem);
    this.channel.end(problem);
  }

  destroy(): void {
    if (this.isClosed) return;
    this.close();
    this.channel.destroy();
  }

  /** Call it when the client has closed the connection. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.waiting.length = 0;
    this.watch.closed(this);
  }

  private startSending(): void {
    if (this.isSending || this.isClosed) return;
    this.isSending = true;
    void this.sendAll().finally(() => (this.isSending = false));
  }

  private async sendAll(): Promise<void> {
    while (this.waiting.length > 0) {
      // Only one message is on its way to the operating system. So nothing that waits is sent after the session has ended.
      await this.channel.flushed();
      if (!(await this.admit())) return;
      this.lastSentAt = this.watch.clock.monotonic();
      this.channel.write(this.waiting.shift()!);
    }
    if (!this.isFinishing || this.isClosed) return;
    await this.channel.flushed();
    this.close();
    this.channel.finish();
  }

  private async check(): Promise<void> {
    const { admission } = this;
    if (admission === null) return;
    this.watch.requireSight(admission);
    const isDue = this.watch.clock.now() >= this.until;
    if (admission.checksEachMessage || isDue || this.watch.mustCheck()) this.until = await admission.check();
  }
}

function problemOf(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem('auth.unavailable', { cause: error });
}
