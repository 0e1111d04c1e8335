import {
  Inject,
  Injectable,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { setImmediate } from 'node:timers/promises';
import { DataSource, type EntityManager } from 'typeorm';
import { Clock } from '../runtime/clock.js';
import { repeat } from '../jobs/repeat.js';
import { LOGGER, type Logger } from '../logging/logger.js';
import { PendingActionPolicy } from './pending-action.js';
import { databaseNow } from '../persistence/database-now.js';
import { MailLinks } from './mail-links.js';
import { MailTransport } from './mail-transport.js';
import { render, type TemplateData, type TemplateName } from './templates.js';

const INTERVAL_MS = 1_000;
/** Number of mails sent at once: a slow mail server delays no more than these. */
const BATCH = 10;
const FIRST_RETRY_MS = 10_000;
const MAX_RETRY_MS = 3_600_000;
/** The retry period of other mail servers (RFC 5321 4.5.4.1: four to five days). */
const GIVE_UP_AFTER_MS = 4 * 24 * 3_600_000;
/**
 * How long refused mails are kept so that operators can examine them. They contain personal data, so not for longer.
 */
const KEEP_GIVEN_UP_MS = 30 * 24 * 3_600_000;
/** After months without a mail server there may be very many. */
const REMOVE_BATCH = 1_000;
/** If a worker has not reported the result after this time in ms, it has died, and another worker takes the mail. */
const CLAIM_MS = 60_000;

interface Claimed {
  id: string;
  recipient: string;
  template: TemplateName;
  data: never;
  attempts: number;
  created_at: Date;
  /** The action that the link completes; null without a link. */
  user_id: string | null;
  session_id: string | null;
  requested_at: Date | null;
}

/** Claims mails that are due. The claim postpones the next attempt, so that no other worker takes them. */
const CLAIM = `
  update mails set attempts = attempts + 1, next_attempt_at = $1::timestamptz + make_interval(secs => ${CLAIM_MS / 1_000})
  where id in (
    select id from mails where given_up_at is null and next_attempt_at <= $1
    order by next_attempt_at limit ${BATCH} for update skip locked)
  returning id, recipient, template, data, attempts, created_at, user_id, session_id, requested_at`;

/** Adds a mail, together with the action of its token, if it has one. */
const ADD = `
  insert into mails (recipient, template, data, created_at, next_attempt_at, user_id, session_id, requested_at)
  select $1, $2, $3, $4, $4, t.user_id, t.session_id, t.created_at
  from (select) one left join mailed_tokens t on t.id = $5`;

/**
 * Mails are added in the transaction that they report: none is lost, and none is sent for a transaction that was
 * rolled back. Any instance sends them afterwards, at least once.
 */
@Injectable()
export class MailOutbox implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private stop: () => void = () => undefined;

  constructor(
    private readonly database: DataSource,
    private readonly transport: MailTransport,
    private readonly links: MailLinks,
    private readonly pending: PendingActionPolicy,
    private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    const failed = (error: unknown) =>
      this.logger.debug({ err: error }, 'mails are waiting: PostgreSQL is unavailable');
    this.stop = repeat(INTERVAL_MS, () => this.send(), failed);
  }

  beforeApplicationShutdown(): void {
    this.stop();
  }

  /**
   * Adds a mail. Call it in the transaction of the action.
   * @param data must not contain secrets: it stays in the database until the mail has been sent
   * @param now the transaction's time, if the caller already knows it
   */
  async add<Name extends TemplateName>(
    tx: EntityManager,
    recipient: string,
    template: Name,
    data: TemplateData[Name],
    now?: Date,
  ): Promise<void> {
    const tokenId = 'tokenId' in data ? data.tokenId : null;
    const createdAt = now ?? (await databaseNow(tx, this.clock));
    await tx.query(ADD, [recipient, template, JSON.stringify(data), createdAt, tokenId]);
  }

  /**
   * Sends all mails that are due.
   * @returns how many were sent
   */
  async send(): Promise<number> {
    let sent = 0;
    for (let claimed = BATCH; claimed === BATCH;) {
      const now = await databaseNow(this.database.manager, this.clock);
      const [mails] = await this.database.query<[Claimed[], number]>(CLAIM, [now]);
      let turn: Promise<unknown> = Promise.resolve();
      const inTurn = async (mail: Claimed) => {
        await (turn = turn.then(() => setImmediate())); // yields between mails, so that requests do not wait until ten mails are rendered
        return this.sendOne(mail, now);
      };
      sent += (await Promise.all(mails.map(inTurn))).filter(Boolean).length;
      claimed = mails.length;
    }
    return sent;
  }

  /**
   * Removes mails that were given up long ago.
   * @returns how many
   */
  async removeGivenUp(): Promise<number> {
    const now = await databaseNow(this.database.manager, this.clock);
    const before = new Date(now.getTime() - KEEP_GIVEN_UP_MS);
    let count = 0;
    for (let removed = REMOVE_BATCH; removed === REMOVE_BATCH; count += removed) {
      [, removed] = await this.database.query<[unknown, number]>(
        `delete from mails where id in (
           select id from mails where given_up_at < $1 order by given_up_at limit $2 for update skip locked)`,
        [before, REMOVE_BATCH],
      );
    }
    return count;
  }

  private async sendOne(mail: Claimed, now: Date): Promise<boolean> {
    let isVoid: boolean;
    try {
      isVoid = await this.isVoid(mail);
      if (!isVoid) await this.deliver(mail, now);
    } catch (error) {
      await this.postpone(mail, now, error);
      return false;
    }
    await this.database.query('delete from mails where id = $1', [mail.id]);
    return !isVoid;
  }

  /** A mail is not sent if its link is void, for example because the session that requested it has ended. */
  private async isVoid({ id, user_id, session_id, requested_at }: Claimed): Promise<boolean> {
    if (!user_id || !requested_at) return false;
    const action = { userId: user_id, sessionId: session_id, requestedAt: requested_at };
    if (await this.pending.isAuthorized(this.database.manager, action)) return false;
    this.logger.info({ mail: id }, 'a mail was not sent: its link is no longer valid');
    return true;
  }

  private deliver(mail: Claimed, now: Date): Promise<void> {
    const id = `${mail.created_at.getTime()}-${mail.id}`;
    const link = this.links.of(mail.template, mail.data, now.getTime());
    return this.transport.send({ id, to: mail.recipient, ...render(mail.template, mail.data, link) });
  }

  private async postpone({ id, attempts, created_at }: Claimed, now: Date, error: unknown): Promise<void> {
    const pause = Math.min(FIRST_RETRY_MS * 2 ** (attempts - 1), MAX_RETRY_MS);
    const givenUp = now.getTime() - created_at.getTime() > GIVE_UP_AFTER_MS;
    this.logger.warn({ err: error, mail: id, attempts, givenUp }, 'a mail could not be sent');
    await this.database.query(`update mails set next_attempt_at = $2, given_up_at = $3 where id = $1`, [
      id,
      new Date(now.getTime() + pause),
      givenUp ? now : null,
    ]);
  }
}
