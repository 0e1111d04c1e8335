import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module, Post } from '@nestjs/common';
import { DataSource } from 'typeorm';
import {
  Actor,
  ApiProblems,
  AuditService,
  contextLines,
  databaseNow,
  Clock,
  defineAuditEvent,
  defineMail,
  defineProblem,
  defineRole,
  mailContextOf,
  MailOutbox,
  Problem,
  RequireSession,
  Roles,
  type ActorContext,
  type MailContext,
  type Role,
} from '#core';
import { SessionCleanupJob } from '../src/sessions/cleanup/session-cleanup.job.js';
import { ADMIN, resetStores, startApp, type TestApp } from './support/app.js';
import { TestClock } from './support/clock.js';
import { read } from './support/forge.js';
import { Mailbox } from './support/mailbox.js';
import { documentOf } from './support/operations.js';
import { enrol } from './support/second-factor.js';
import { createUser, loggedIn, type TestUser } from './support/test-users.js';

/** Real: PostgreSQL, the cache, the application over HTTP, and a feature that defines names in its own file. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const SUPPORT = defineRole('support', { privileged: true });
const EDITOR = defineRole('editor');
const OVER_LIMIT = defineProblem('billing.over_limit', {
  status: 409,
  title: 'Plan limit reached',
  detail: 'Choose a larger plan.',
});
const PLAN_CHANGED = defineAuditEvent('plan_changed');
const INVOICE_MAIL = defineMail(
  'invoice',
  ({ number, lines, ...context }: MailContext & { number: string; lines: { name: string }[] }) => ({
    subject: `Your invoice ${number}`,
    paragraphs: ['See it here:', lines.map(({ name }) => name).join(', '), contextLines(context)],
  }),
  { link: { page: 'invoices' } },
);

@Controller('billing')
@RequireSession()
class BillingController {
  constructor(
    private readonly database: DataSource,
    private readonly audit: AuditService,
    private readonly outbox: MailOutbox,
    private readonly clock: Clock,
  ) {}

  @Post('projects')
  @ApiProblems(OVER_LIMIT)
  project() {
    throw new Problem(OVER_LIMIT);
  }

  @Post('plan')
  async plan(@Actor() { actorId, context }: ActorContext) {
    await this.database.transaction(async (tx) => {
      await this.audit.record(tx, { type: PLAN_CHANGED, userId: actorId, context, details: { to: 'team' } });
      await this.outbox.add(tx, 'ann@example.com', INVOICE_MAIL, {
        number: '17',
        lines: [{ name: 'write to thief@evil.com' }],
        ...mailContextOf(context!, await databaseNow(tx, this.clock)),
      });
    });
    return {};
  }

  @Get('tickets')
  @Roles(SUPPORT)
  tickets() {
    return { items: [] };
  }
}

@Module({ controllers: [BillingController] })
class BillingModule {}

let app: TestApp;
let admin: TestUser;
const clock = new TestClock();

beforeAll(async () => {
  await resetStores();
  app = await startApp({ clock, env: { API_DOCS: 'true' }, features: [BillingModule] });
});
afterAll(() => app?.close());

const userWith = async (...roles: Role[]) => loggedIn(app, await createUser(app, roles));
const setRoles = async ({ userId }: TestUser, ...roles: Role[]) => {
  admin = await loggedIn(app, ADMIN);
  return admin.put(`/v1/admin/users/${userId}/roles`, { roles });
};
const TICKETS = '/v1/billing/tickets';
const CONFLICT = { status: 409, body: { code: 'resource.conflict' } };

describe('a name that a feature defines', () => {
  it('A code of a problem is answered with its texts, and the API document lists it', async () => {
    const user = await userWith('user');
    expect(await user.post('/v1/billing/projects')).toMatchObject({
      status: 409,
      body: { code: OVER_LIMIT, title: 'Plan limit reached', detail: 'Choose a larger plan.' },
    });
    const { operations, components } = await documentOf(app);
    const { responses } = operations.find(({ name }) => name === 'POST /v1/billing/projects')!;
    expect(responses['409']).toMatchObject({ description: '`billing.over_limit`' });
    expect(components.examples[OVER_LIMIT]).toMatchObject({
      value: { title: 'Plan limit reached', status: 409 },
    });
  });

  it('An audit event is recorded, and an admin finds it by its type', async () => {
    const user = await userWith('user');
    expect((await user.post('/v1/billing/plan')).status).toBe(201);
    admin = await loggedIn(app, ADMIN);
    const { body } = await admin.get(`/v1/admin/audit-events?type=${PLAN_CHANGED}&userId=${user.userId}`);
    expect(body.items).toMatchObject([{ type: 'plan_changed', details: { to: 'team' } }]);
  });

  it('A mail is sent with its link and without links from its data', async () => {
    const mailbox = new Mailbox(app);
    const user = await userWith('user');
    expect((await user.post('/v1/billing/plan')).status).toBe(201);
    const [mail] = (await mailbox.collect()).filter(({ subject }) => subject === 'Your invoice 17');
    expect(mail!.text).toMatch(
      /^See it here:\n\nhttp:\/\/localhost:\d+\/invoices\n\nwrite to thief\[at\]evil\[dot\]com\n\nWhen: /,
    );
  });

  it('A role opens its routes, is in the token, and is listed wherever the API document lists roles', async () => {
    const user = await userWith('user');
    expect((await user.get(TICKETS)).status).toBe(403);
    expect((await setRoles(user, 'user', SUPPORT)).body.roles).toEqual(['user', 'support']);
    expect((await user.get(TICKETS)).status).toBe(200);
    expect((await user.refresh()).status).toBe(200);
    expect(read(user.accessToken!).claims['roles']).toEqual(['user', 'support']);
    expect((await user.get('/v1/auth/whoami')).body.roles).toEqual(['user', 'support']);
    const enums = JSON.stringify(await documentOf(app)).match(/"enum":\["user","admin"[^\]]*\]/g)!;
    expect(enums.length).toBeGreaterThan(2);
    expect(new Set(enums)).toEqual(new Set(['"enum":["user","admin","support","editor"]']));
  });

  it('A role that is not defined cannot be given', async () => {
    const user = await userWith('user');
    expect(await setRoles(user, 'suport' as Role)).toMatchObject({ status: 400 });
  });
});

describe('a privileged role beside admin', () => {
  it('A session of its holder has the short lifetimes, and one of another role has the usual ones', async () => {
    const [support, editor, user] = [
      await userWith(SUPPORT),
      await userWith('user', EDITOR),
      await userWith('user'),
    ];
    const lifetimes = await Promise.all(
      [support, editor, user].map(async (client) => {
        const { createdAt, expiresAt } = (await client.get('/v1/sessions/current')).body;
        return (Date.parse(expiresAt) - Date.parse(createdAt)) / HOUR;
      }),
    );
    expect(lifetimes).toEqual([12, 90 * 24, 90 * 24]);
    clock.advance(HOUR + 2 * MINUTE);
    expect(await app.get(SessionCleanupJob).endAged()).toBeGreaterThan(0);
    const ended = await app.query<{ id: string }>(
      `select id from sessions where status = 'ended' and id = any($1)`,
      [[support.id, editor.id, user.id]],
    );
    expect(ended).toEqual([{ id: support.id }]);
    expect((await support.refresh()).status).toBe(401);
    expect((await editor.refresh()).status).toBe(200);
  });

  it('Its last holder can neither lose it nor be banned, while holders of another role can', async () => {
    await app.query(`update users set roles = '{user}' where 'support' = any(roles)`);
    const [last, editor] = [await userWith('user', SUPPORT), await userWith('user', EDITOR)];
    expect(await setRoles(last, 'user')).toMatchObject(CONFLICT);
    expect(await setRoles(last, 'user', 'admin')).toMatchObject(CONFLICT);
    expect(await admin.post(`/v1/admin/users/${last.userId}/ban`, { reason: 'x' })).toMatchObject(CONFLICT);
    expect((await setRoles(editor, 'user')).status).toBe(200);
    const other = await userWith('user', SUPPORT);
    expect((await setRoles(last, 'user')).status).toBe(200);
    expect(await setRoles(other, 'user')).toMatchObject({
      status: 409,
      body: { detail: 'No other account that can log in has the role support.' },
    });
  });

  it('With ADMIN_MFA=required its holder needs a second factor, and the holder of another role does not', async () => {
    const strict = await startApp({ clock, env: { ADMIN_MFA: 'required' }, features: [BillingModule] });
    try {
      const [support, editor] = [
        await createUser(app, ['user', SUPPORT]),
        await createUser(app, ['user', EDITOR]),
      ];
      const me = await loggedIn(strict, support);
      expect(read(me.accessToken!).claims['roles']).toEqual(['user']);
      expect(await me.get(TICKETS)).toMatchObject({ body: { code: 'auth.second_factor_required' } });
      expect((await me.get('/v1/auth/mfa')).body.required).toBe(true);
      await enrol(strict, me);
      expect((await me.get(TICKETS)).status).toBe(200);
      const other = await loggedIn(strict, editor);
      expect(read(other.accessToken!).claims['roles']).toEqual(['user', 'editor']);
      expect((await other.get('/v1/auth/mfa')).body.required).toBe(false);
      expect((await other.get('/v1/users/me')).status).toBe(200);
    } finally {
      await strict.close();
    }
  });
});
