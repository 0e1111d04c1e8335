/**
 * The public entrance: everything that a feature of the application imports, under the name `#core`. A rule
 * (`npm run check:imports`) refuses other imports from a feature. The compiler checks the examples below.
 */

// --- Who may call a route

/**
 * Opens a route to callers without a credential. Every other route requires an access token.
 *
 * ```ts
 * @Controller('status')
 * class StatusController {
 *   @Get()
 *   @Public()
 *   read() {
 *     return { ok: true };
 *   }
 * }
 * ```
 */
export { Public } from './auth/guards/public.decorator.js';

/**
 * Requires a live session, which PostgreSQL owns: after the session has ended, its next request is refused. With `maxAuthAge` the
 * user must have proved their identity recently; with `consistency: 'strict'` the check does not use the cache.
 *
 * ```ts
 * @Controller('invoices')
 * class InvoicesController {
 *   @Post()
 *   @RequireSession({ maxAuthAge: '5m' })
 *   create(@CurrentSession() session: SessionSnapshot) {
 *     return { userId: session.userId };
 *   }
 * }
 * ```
 */
export { RequireSession, type RequireSessionOptions } from './sessions/check/require-session.decorator.js';

/**
 * Requires one of the roles. On a route that requires a session, the guard checks the roles that PostgreSQL has now.
 *
 * ```ts
 * @Controller('reports')
 * @RequireSession()
 * @Roles('admin')
 * class ReportsController {}
 * ```
 */
export { Roles } from './auth/guards/roles.decorator.js';

/**
 * Also lets machines in, by an API key with the scope: alone on a route of the access tier, or beside `@RequireSession()`. Every other
 * route refuses keys. The handler gets the caller, a person or a machine, by `@CurrentCaller()`. `@AllowScope()` also lets in apps
 * to which the user has granted the scope (OAuth).
 *
 * ```ts
 * export const ORDERS_READ = defineScope('orders:read', { description: 'Read your orders' });
 *
 * @Controller('orders')
 * @RequireSession()
 * class OrdersController {
 *   @Get()
 *   @AllowApiKey(ORDERS_READ)
 *   list(@CurrentCaller() { userId }: Caller) {
 *     return { items: [], userId };
 *   }
 * }
 * ```
 */
export { AllowApiKey, AllowScope } from './auth/guards/allow-scope.decorator.js';
export { defineScope, SCOPES, type Scope, type ScopeOptions } from './scopes.js';

/**
 * Defines a role of your own. A privileged role needs a second factor (`ADMIN_MFA`), has the short sessions of
 * admins, and keeps its last holder.
 *
 * ```ts
 * export const SUPPORT = defineRole('support', { privileged: true });
 *
 * @Controller('tickets')
 * @RequireSession()
 * @Roles(SUPPORT, 'admin')
 * class TicketsController {}
 * ```
 */
export { defineRole, ROLES, type Role, type RoleOptions } from './roles.js';

/**
 * The product's name for people, its slug for machines, and the names that are derived from them.
 *
 * ```ts
 * const subject = `Your invoice from ${PRODUCT.name}`;
 * ```
 */
export { PRODUCT } from './product.js';

/**
 * Limits how often one user may call a route, in the memory of the instance. Responses carry `RateLimit` headers.
 *
 * ```ts
 * @Controller('search')
 * class SearchController {
 *   @Get()
 *   @RateLimit({ limit: 60, per: '1m' })
 *   find() {
 *     return { items: [] };
 *   }
 * }
 * ```
 */
export { RateLimit, type RateLimitOptions } from './platform/throttling/rate-limit.decorator.js';

// --- Event streams, WebSockets and long responses
//
// `@Sse()` of @nestjs/common and `@WebSocketGateway({ path: '/v1/…' })` of @nestjs/websockets are guarded as any other route, by the
// same decorators. Put those of a gateway on its class. A connection ends with the session, key or grant of its caller.

/**
 * Makes a long response, such as a download, end with the session, key or grant of its caller.
 *
 * ```ts
 * @Controller('exports')
 * @RequireSession()
 * class ExportsController {
 *   @Get()
 *   download(@StreamGuard() guard: GuardStream) {
 *     return new StreamableFile(guard(Readable.from(['a', 'b'])));
 *   }
 * }
 * ```
 */
export { StreamGuard, type GuardStream } from './auth/open-connections/stream-guard.js';

/** The response of an event stream, for `@ApiOkResponse()` beside `@Sse()`. */
export { EVENT_STREAM } from './platform/api/schemas.js';

// --- Parameters of a controller method

/**
 * The caller, as the access token says.
 *
 * ```ts
 * const greeting = ({ userId, roles }: Principal) => `${userId} is ${roles.join(' and ')}`;
 * ```
 */
export { CurrentUser } from './auth/guards/current-user.decorator.js';
export type { Caller, GeoLocation, Principal, RequestContext } from './platform/http/request.js';
/**
 * The caller of a route with `@AllowApiKey()`: a user by a session, or by an API key.
 *
 * ```ts
 * const isMachine = ({ kind }: Caller) => kind === 'api_key';
 * ```
 */
export { CurrentCaller } from './auth/guards/current-caller.decorator.js';

/** The session that the guard has checked; only on routes with `@RequireSession()`. */
export { CurrentSession } from './sessions/check/current-session.decorator.js';
export type { SessionSnapshot } from './sessions/check/session-snapshot.js';

/**
 * The caller as the one who acts: pass it to services that write audit events or end sessions.
 *
 * ```ts
 * @Controller('teams')
 * @RequireSession()
 * class TeamsController {
 *   constructor(private readonly revocations: RevocationService) {}
 *
 *   @Delete(':member')
 *   remove(@Param('member') member: string, @Actor() { actorId, context }: ActorContext) {
 *     return this.revocations.endUser(member, { reason: 'admin', actorId, context });
 *   }
 * }
 * ```
 */
export { Actor, type ActorContext } from './platform/api/actor.decorator.js';

/** The `Idempotency-Key` header of a request, validated: a client that sends a write twice sends the same key. */
export { IdempotencyKey } from './platform/api/idempotency-key.decorator.js';

// --- Claims and user fields of your own

/**
 * The claims that `src/claims.ts` declares, and the types of their values. They are on the principal, as the token has
 * them, and on the session, as they are now.
 *
 * ```ts
 * const namesOf = ({ claims }: Principal) => Object.keys(claims);
 * ```
 */
export { CLAIMS } from './claims.js';
export type { ClaimDeclarations } from './platform/claims/claim-declarations.js';
export type { Claims } from './platform/claims/declared-claims.js';

/**
 * Makes a changed value of a claim current: on the next session check, and in the next access token. The change and the notice to
 * every instance commit together.
 *
 * ```ts
 * const setPlan = (claims: ClaimsService, userId: string, plan: string) =>
 *   claims.refresh(userId, (tx) => tx.query('update users set plan = $2 where id = $1', [userId, plan]));
 * ```
 */
export { ClaimsService } from './sessions/claims.service.js';

/**
 * Reads and changes the fields of users that `src/users/profile` declares.
 *
 * ```ts
 * const countFields = async (profiles: ProfilesService, userId: string) => Object.keys(await profiles.find(userId)).length;
 * ```
 */
export { ProfilesService, type ProfileValues } from './users/profile/profiles.service.js';

/**
 * Reads user accounts, for example the address of a mail. Change them through the API, which ends the sessions that a
 * change affects.
 *
 * ```ts
 * const addressOf = async (users: UserRepository, userId: string) => (await users.find(userId))?.email;
 * ```
 */
export { UserRepository } from './users/user.repository.js';

/**
 * Deletes the data of a feature together with the account of its user: the owner of a table registers a hook. The hook
 * runs in the transaction of the deletion. If it throws, the account stays.
 *
 * ```ts
 * @Injectable()
 * class NoteRepository {
 *   constructor(deletions: AccountDeletions) {
 *     deletions.register((tx, { id }) => tx.query('delete from notes where user_id = $1', [id]));
 *   }
 * }
 * ```
 */
export {
  AccountDeletions,
  type AccountDeletion,
  type DeletedAccount,
} from './platform/persistence/account-deletions.js';

/**
 * Gives the demo users rows to see: the owner of a table registers a hook. It runs for each demo user at every start in
 * development, never in tests or in production. So it adds nothing if the user has rows already.
 *
 * ```ts
 * @Injectable()
 * class NoteRepository {
 *   constructor(demo: DemoRows) {
 *     demo.register((tx, { id }) =>
 *       tx.query(
 *         `insert into notes (user_id, title) select $1, 'Buy milk'
 *          where not exists (select from notes where user_id = $1)`,
 *         [id],
 *       ),
 *     );
 *   }
 * }
 * ```
 */
export { DemoRows, type DemoRowsHook, type DemoUser } from './platform/persistence/demo-rows.js';

// --- End sessions, and write before they end

/**
 * Ends sessions. Every method returns a receipt, which says how many sessions ended and whether every instance refuses them
 * already.
 *
 * ```ts
 * async function onContractEnded(revocations: RevocationService, userId: string) {
 *   const receipt = await revocations.endUser(userId, { reason: 'admin', actorId: null, context: null });
 *   return receipt?.status;
 * }
 * ```
 */
export { RevocationService } from './sessions/revocation/revocation.service.js';

/**
 * Ends sessions in a transaction of `RevocationService.commit`, together with a change of your own. After the commit every
 * instance refuses the sessions, without another call.
 *
 * ```ts
 * const leaveTeam = (revocations: RevocationService, writer: RevocationWriter, userId: string): Promise<Receipt> =>
 *   revocations.commit(userId, async (tx) => {
 *     await tx.query('delete from members where user_id = $1', [userId]);
 *     return writer.endSessions(tx, userId, 'all', { reason: 'admin', actorId: null, context: null });
 *   });
 * ```
 */
export {
  RevocationWriter,
  type RevocationCause,
  type RevocationTx,
  type SessionSelector,
} from './sessions/revocation/revocation-writer.js';
export { Receipt } from './sessions/revocation/receipt.js';
export { END_REASONS, type EndReason } from './sessions/revocation/end-reason.js';

/**
 * Runs a write in a transaction that either commits before the session, or the API key, ends, or not at all.
 *
 * ```ts
 * const rename = (fence: SessionFence, session: SessionSnapshot, name: string) =>
 *   fence.write(session, (tx) => tx.query('update teams set name = $2 where owner_id = $1', [session.userId, name]));
 * ```
 */
export { SessionFence } from './sessions/session-fence.js';

/**
 * Tells clients in the header `Server-Timing` how long each tier took and which store answered. For demonstrations only.
 *
 * ```ts
 * @Injectable()
 * class DemoTimings {
 *   constructor(timings: CheckTimings) {
 *     timings.enable();
 *   }
 * }
 * ```
 */
export { CheckTimings } from './sessions/check/check-timings.js';

// --- Audit, mail

/**
 * Appends a security event to the audit log, in the transaction of the act.
 *
 * ```ts
 * export const PLAN_CHANGED = defineAuditEvent('plan_changed');
 *
 * const record = (audit: AuditService, tx: EntityManager, { userId, id: sessionId }: SessionSnapshot, context: RequestContext) =>
 *   audit.record(tx, { type: PLAN_CHANGED, userId, sessionId, context, details: { to: 'team' } });
 * ```
 */
export { AuditService, type AuditEntry } from './platform/audit/audit.service.js';
export { defineAuditEvent, type AuditEventType } from './platform/audit/audit-event-types.js';

/**
 * Adds a mail to the outbox, in the transaction of the act. The mail is sent after the commit, or not at all. Texts
 * in the data reach the mail in inert form: no mail program makes a link of them.
 *
 * ```ts
 * export const INVOICE_MAIL = defineMail(
 *   'invoice',
 *   ({ number, ...context }: MailContext & { number: string }) => ({
 *     subject: 'Your invoice',
 *     paragraphs: [`Invoice ${number} is ready:`, contextLines(context)],
 *   }),
 *   { link: { page: 'invoices' } },
 * );
 *
 * const send = (outbox: MailOutbox, tx: EntityManager, to: string, context: RequestContext, now: Date) =>
 *   outbox.add(tx, to, INVOICE_MAIL, { number: 'A-17', ...mailContextOf(context, now) });
 * ```
 */
export { MailOutbox, type AddOptions } from './platform/mail/mail-outbox.js';
export {
  contextLines,
  defineMail,
  quoted,
  type MailContent,
  type MailContext,
  type MailTemplate,
} from './platform/mail/define-mail.js';
export { mailContextOf } from './sessions/mail-context.js';

/**
 * Adds the text of a mail in another language, and the labels that all mails of the language share. `coreMails` has the
 * mails of the core. `MAIL_LOCALE` is the language of mails; `MailLocales` finds that of a user.
 *
 * ```ts
 * translateMailLabels('de', {
 *   when: 'Zeit',
 *   device: 'Gerät',
 *   ipAddress: 'IP-Adresse',
 *   country: 'Land',
 *   open: 'Seite öffnen',
 *   copyLink: 'Wenn die Schaltfläche nicht funktioniert, öffnen Sie diese Adresse:',
 *   reason: `Sie erhalten diese E-Mail, weil ein Konto bei ${PRODUCT.name} diese Adresse verwendet.`,
 * });
 *
 * translateMail(coreMails.PASSWORD_CHANGED_MAIL, 'de', (data) => ({
 *   subject: 'Ihr Passwort wurde geändert',
 *   paragraphs: ['Das Passwort Ihres Kontos wurde geändert.', contextLines(data)],
 * }));
 * ```
 */
export { translateMail, translateMailLabels } from './platform/mail/content/translate-mail.js';
export type { MailLabels } from './platform/mail/content/mail-labels.js';
export * as coreMails from './core-mails.js';
/** The name of a country in a language, such as "Germany" for the code `DE`. */
export { countryName } from './platform/runtime/locale.js';

/**
 * Finds the language of a user, for all mails to them. Without it, mails are in the language of `MAIL_LOCALE`.
 *
 * ```ts
 * @Injectable()
 * class LanguageRepository {
 *   constructor(locales: MailLocales) {
 *     locales.register(async (tx, address) => {
 *       const [row] = await tx.query<{ locale: string | null }[]>(
 *         'select p.locale from profiles p join users u on u.id = p.user_id where u.email = $1',
 *         [address],
 *       );
 *       return row?.locale;
 *     });
 *   }
 * }
 * ```
 */
export { MailLocales, type FindLocale } from './platform/mail/mail-locales.js';

// --- Background jobs and metrics

/**
 * Runs work again and again, without a request. Declare a job in a constructor. One instance runs it in each interval, or
 * every instance with `scope: 'instance'`. A run that fails is logged with the job's name and counted in
 * `background_job_failures_total`; the next run follows after the interval.
 *
 * ```ts
 * @Injectable()
 * class InvoiceReminders {
 *   constructor(jobs: Jobs) {
 *     jobs.every({ name: 'invoice-reminders', interval: '1h', run: () => this.remind() });
 *   }
 *
 *   private async remind(): Promise<void> {}
 * }
 * ```
 */
export { Jobs, type Job } from './platform/jobs/jobs.js';

/**
 * Adds metrics to `GET /metrics`. The product's prefix is added to each name. A label with many values, such as a user id,
 * fills the memory of the instance.
 *
 * ```ts
 * @Injectable()
 * class InvoicesService {
 *   private readonly sent;
 *
 *   constructor(metrics: Metrics) {
 *     this.sent = metrics.counter({ name: 'invoices_sent_total', help: 'Invoices that were sent.', labelNames: ['plan'] });
 *   }
 *
 *   send(plan: string): void {
 *     this.sent.inc({ plan });
 *   }
 * }
 * ```
 */
export { Metrics } from './platform/metrics/metrics.js';

// --- Errors

/**
 * An error that a client gets as `application/problem+json` (RFC 9457). `code` is stable; `detail` never repeats input.
 *
 * ```ts
 * export const OVER_LIMIT = defineProblem('billing.over_limit', {
 *   status: 409,
 *   title: 'Plan limit reached',
 *   detail: 'Choose a larger plan.',
 * });
 *
 * @Controller('projects')
 * @RequireSession()
 * class ProjectsController {
 *   @Post()
 *   @ApiProblems(OVER_LIMIT)
 *   create() {
 *     throw new Problem(OVER_LIMIT, { members: { limit: 3 } });
 *   }
 * }
 * ```
 */
export {
  defineProblem,
  invalidRequest,
  Problem,
  type FieldError,
  type ProblemCode,
  type ProblemOptions,
} from './platform/api/problem.js';
export { ApiProblems } from './platform/api/api-problems.decorator.js';

// --- What services need

/**
 * The application's cache, with the interface of `cache-manager`: in Redis when `REDIS_URL` is set, on the connection of the session
 * cache, and in the memory of the instance otherwise. Values are JSON. Keys have a prefix of their own, so no key can name a session.
 *
 * A failure of Redis never becomes an error. While Redis is down, or slower than `CACHE_BUDGET`, `get` finds nothing, `wrap` computes
 * the value, and `set` and `del` have no effect. So choose a time to live, in milliseconds, for which an old value is acceptable; the
 * default is one minute. Never cache a decision about access. `reset` and `keys` are not offered.
 *
 * ```ts
 * @Injectable()
 * class RatesService {
 *   constructor(@Inject(CACHE_MANAGER) private readonly cache: Cache) {}
 *
 *   find(currency: string) {
 *     return this.cache.wrap(`rate:${currency}`, () => this.load(currency), 60_000);
 *   }
 *
 *   private load = async (currency: string) => ({ currency, rate: 1 });
 * }
 * ```
 */
export { CACHE_MANAGER } from './platform/cache/application-cache.js';
export type { Cache } from 'cache-manager';

/**
 * Tells all instances that something is new, when the transaction commits. A message is lost for an instance whose connection
 * is cut, so the listener reads what is new from its table.
 *
 * ```ts
 * @Injectable()
 * class OrdersFeed {
 *   constructor(private readonly messages: InstanceMessages) {
 *     messages.subscribe('orders', () => this.readNew());
 *   }
 *
 *   announce = (tx: EntityManager, orderId: string) => this.messages.publish(tx, 'orders', { orderId });
 *
 *   private readNew(): void {}
 * }
 * ```
 */
export { InstanceMessages } from './platform/persistence/instance-messages.js';

/**
 * Time, injected: tests move it. Lint refuses `Date.now()` in `src`.
 *
 * ```ts
 * const isOver = (clock: Clock, endsAt: number) => clock.now() >= endsAt;
 * ```
 */
export { Clock } from './platform/runtime/clock.js';
export { databaseNow } from './platform/persistence/database-now.js';
/** The folder of `package.json`, for files beside the source that are read at runtime. */
export { PACKAGE_ROOT } from './platform/runtime/package-root.js';
/** Random bytes and ids from the operating system's generator. */
export { random } from './platform/runtime/random.js';
/** Schemas that requests and responses share: text without control characters, UUIDs, instants, pages. */
export { instant, text, uuid } from './platform/api/schemas.js';
export { decodeCursor, encodeCursor, pageOf, pageQuery } from './platform/api/page.js';
export { LOGGER, type Logger } from './platform/logging/logger.js';
/** Stops the boot: the message says what is wrong and what to do. */
export { BootError } from './platform/settings/boot-error.js';
/**
 * The settings of the application, injected by the type. A feature declares its own in its folder: the boot stops at a
 * wrong value and names the variable. `setting` has the kinds: `integer`, `duration`, `choice`, `flag`, `url`, …
 *
 * ```ts
 * export const billingSettings = defineSettings({
 *   billingTrial: setting.duration('The length of a free trial.', { min: '1d', max: '90d', fallback: '14d' }),
 * });
 *
 * @Injectable()
 * class TrialsService {
 *   private readonly trial: number; // in milliseconds
 *
 *   constructor(settings: Settings) {
 *     this.trial = billingSettings(settings).billingTrial;
 *   }
 * }
 * ```
 */
export { Settings } from './platform/settings/settings.js';
export { defineSettings } from './platform/settings/feature-settings.js';
export * as setting from './platform/settings/setting.js';
