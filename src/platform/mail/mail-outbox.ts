import { Inject, Injectable } from '@nestjs/common';
import { setImmediate } from 'node:timers/promises';
import { DataSource, type EntityManager } from 'typeorm';
import { Clock } from '../runtime/clock.js';
import { Jobs } from '../jobs/jobs.js';
import type { Backlog } from '../jobs/backlog.js';
import { QueueWorker } from '../jobs/queue-worker.js';
import { LOGGER, type Logger } from '../logging/logger.js';
import { PendingActionPolicy } from './pending-action.js';
import { databaseNow } from '../persistence/database-now.js';
import { Settings } from '../settings/settings.js';
import { MailLinks } from './mail-links.js';
import { MailTransport } from './mail-transport.js';
import { MailRepository, type ClaimedMail } from './mail.repository.js';
import type { MailTemplate } from './define-mail.js';
import { render } from './content/render-mail.js';
import { MailLocales } from './mail-locales.js';

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
/** If a worker has not reported the result after this time in ms, it has died, and another worker takes the mail. */
const CLAIM_MS = 60_000;

export interface AddOptions {
  /** The transaction's time, if the caller already knows it. */
  now?: Date;
  /** The language tag of the recipient. By default {@link MailLocales} finds it by the address. */
  locale?: string | null;
}

/**
 * Mails are added in the transaction that they report: none is lost, and none is sent for a transaction that was
 * rolled back. Any instance sends them afterwards, at least once.
 */
@Injectable()
export class MailOutbox extends QueueWorker {
  constructor(
    jobs: Jobs,
    private readonly database: DataSource,
    private readonly mails: MailRepository,
    private readonly transport: MailTransport,
    private readonly links: MailLinks,
    private readonly locales: MailLocales,
    private readonly settings: Settings,
    private readonly pending: PendingActionPolicy,
    private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    super(jobs, 'mail-outbox', BATCH);
  }

  /**
   * Adds a mail. Call it in the transaction of the action.
   * @param data must not contain secrets: it stays in the database until the mail has been sent
   */
  async add<Data extends object>(
    tx: EntityManager,
    recipient: string,
    template: MailTemplate<Data>,
    data: NoInfer<Data>,
    options: AddOptions = {},
  ): Promise<void> {
    const { tokenId = null } = data as { tokenId?: string };
    const createdAt = options.now ?? (await databaseNow(tx, this.clock));
    const locale = options.locale ?? (await this.localeOf(tx, recipient));
    const kept = locale === null ? data : { locale, ...data };
    await this.mails.add(tx, { recipient, template, data: kept, createdAt, tokenId });
  }

  /**
   * The language tag of the user with this address, see {@link MailLocales}. Use it for a mail that goes to another
   * address than that of the account.
   */
  localeOf(tx: EntityManager, address: string): Promise<string | null> {
    return this.locales.of(tx, address);
  }

  /**
   * Removes mails that were given up long ago.
   * @returns how many
   */
  async removeGivenUp(): Promise<number> {
    const now = await databaseNow(this.database.manager, this.clock);
    return this.mails.removeGivenUp(new Date(now.getTime() - KEEP_GIVEN_UP_MS));
  }

  protected async backlog(): Promise<Backlog> {
    return this.mails.backlog(await databaseNow(this.database.manager, this.clock));
  }

  protected async handleBatch(): Promise<boolean[]> {
    const now = await databaseNow(this.database.manager, this.clock);
    const mails = await this.mails.claim(now, new Date(now.getTime() + CLAIM_MS), BATCH);
    let turn: Promise<unknown> = Promise.resolve();
    const inTurn = async (mail: ClaimedMail) => {
      await (turn = turn.then(() => setImmediate())); // yields between mails, so that requests do not wait until ten mails are rendered
      return this.sendOne(mail, now);
    };
    return Promise.all(mails.map(inTurn));
  }

  private async sendOne(mail: ClaimedMail, now: Date): Promise<boolean> {
    let isVoid: boolean;
    try {
      isVoid = await this.isVoid(mail);
      if (!isVoid) await this.deliver(mail, now);
    } catch (error) {
      await this.postpone(mail, now, error);
      return false;
    }
    await this.mails.remove(mail.id);
    return !isVoid;
  }

  /** A mail is not sent if its link is void, for example because the session that requested it has ended. */
  private async isVoid({ id, user_id, session_id, requested_at }: ClaimedMail): Promise<boolean> {
    if (!user_id || !requested_at) return false;
    const action = { userId: user_id, sessionId: session_id, requestedAt: requested_at };
    if (await this.pending.isAuthorized(this.database.manager, action)) return false;
    this.logger.info({ mail: id }, 'a mail was not sent: its link is no longer valid');
    return true;
  }

  private deliver(mail: ClaimedMail, now: Date): Promise<void> {
    const id = `${mail.created_at.getTime()}-${mail.id}`;
    const link = this.links.of(mail.template, mail.data, now.getTime());
    const { locale } = mail.data as { locale?: string };
    const locales = [locale, this.settings.mailLocale].filter((tag) => tag !== undefined);
    const content = render(mail.template, mail.data, { link, locales });
    return this.transport.send({ id, to: mail.recipient, ...content });
  }

  private async postpone(
    { id, attempts, created_at }: ClaimedMail,
    now: Date,
    error: unknown,
  ): Promise<void> {
    const pause = Math.min(FIRST_RETRY_MS * 2 ** (attempts - 1), MAX_RETRY_MS);
    const givenUp = now.getTime() - created_at.getTime() > GIVE_UP_AFTER_MS;
    this.logger.warn({ err: error, mail: id, attempts, givenUp }, 'a mail could not be sent');
    await this.mails.postpone(id, new Date(now.getTime() + pause), givenUp ? now : null);
  }
}
