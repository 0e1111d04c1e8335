import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import type pg from 'pg';
import { DataSource } from 'typeorm';
import { AuditChainJob } from '../../src/platform/audit/audit-chain.job.js';
import { pruneAudit } from '../../src/platform/audit/prune-audit.js';
import { verifyAudit } from '../../src/platform/audit/verify-audit.js';
import { Jobs } from '../../src/platform/jobs/jobs.js';
import { shareEpoch } from '../../src/sessions/revocation/session-epoch.repository.js';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { TestClock } from '../../test/support/clock.js';
import { loggedIn } from '../../test/support/test-users.js';
import { connect, disconnect } from '../../test/support/waiting.js';
import { PRODUCT } from '../../src/product.js';

/** Real: PostgreSQL, two instances, the command. Simulated: a database owner who wants to hide an event. */

const DAY = 86_400_000;
const OVERRIDE = `set ${PRODUCT.auditRetention} = 'on'`;

let clock: TestClock;
let a: TestApp;
let b: TestApp;
let owner: pg.Client;

beforeAll(async () => {
  clock = new TestClock();
  await resetStores();
  [a, b] = [await startApp({ clock }), await startApp({ clock })];
  for (const app of [a, b]) app.get(Jobs).stop('audit-chain'); // the test triggers the job
});
afterAll(() => Promise.all([a.close(), b.close()]));
beforeEach(async () => {
  owner = await connect();
  await owner.query(
    `${OVERRIDE}; truncate audit_events, audit_chain restart identity; reset ${PRODUCT.auditRetention}`,
  );
});
afterEach(disconnect);

const seal = (app = a) => app.get(AuditChainJob).link();
const act = (times = 3) =>
  Promise.all(Array.from({ length: times }, () => a.client().login(ALICE.email, 'not her password at all')));
const verify = (options: { heads?: string[]; retainedSince?: Date } = {}) =>
  verifyAudit(owner, { retainedSince: new Date(0), ...options });
const tamper = (sql: string) =>
  owner.query(`begin; set local ${PRODUCT.auditRetention} = 'on'; ${sql}; commit`);
/** Three chain entries of some events each. */
const history = async () => {
  for (let round = 0; round < 3; round++) {
    await act();
    await seal(round % 2 ? b : a);
  }
};

describe('the audit log is append-only', () => {
  it.each([
    `update audit_events set type = 'authn_login_success'`,
    'delete from audit_events',
    'truncate audit_events',
    `update audit_chain set count = 0`,
    'delete from audit_chain',
    'truncate audit_chain',
  ])('%s is refused, even for the owner [LOG-05]', async (sql) => {
    await history();
    await expect(owner.query(sql)).rejects.toThrow('is append-only');
    expect(await verify()).toMatchObject({ events: 9, faults: [] });
  });
});

describe('a log that has not been changed', () => {
  it('matches its hash chain, event by event, once', async () => {
    await history();
    await act(2);
    expect(await verify()).toEqual({
      seals: 3,
      events: 9,
      removed: 0,
      waiting: 2,
      head: expect.stringMatching(/^3:[0-9a-f]{64}$/),
      faults: [],
    });
    expect(await seal()).toBe(2);
    expect(await seal()).toBe(0);
    expect(await verify()).toMatchObject({ seals: 4, events: 11, waiting: 0, faults: [] });
  });

  it('is added to the hash chain beside transactions that share the global epoch: neither logins nor the job wait for each other', async () => {
    await act();
    await a.get(DataSource).transaction(async (login) => {
      await shareEpoch(login);
      expect(await seal(b)).toBe(3);
    });
  });

  it('is added to the hash chain once, however many instances try at the same time', async () => {
    await act(20);
    const sealed = await Promise.all([seal(a), seal(b), seal(a), seal(b)]);
    const rest = await seal();
    expect(sealed.reduce((sum, count) => sum + count, rest)).toBe(20);
    expect(await verify()).toMatchObject({ events: 20, waiting: 0, faults: [] });
  });

  it('is added to the hash chain without gaps where events commit in another order than their numbers', async () => {
    const slow = await connect();
    await slow.query('begin');
    await slow.query(`insert into audit_events (type) values ('slow')`);
    await act();
    expect(await seal()).toBe(3);
    expect(await verify()).toMatchObject({ events: 3, waiting: 0, faults: [] });
    await slow.query('commit');
    expect(await verify()).toMatchObject({ events: 3, waiting: 1, faults: [] });
    expect(await seal(b)).toBe(1);
    expect(await verify()).toMatchObject({ events: 4, faults: [] });
  });

  it('has the same hash chain in a session with another time zone', async () => {
    await history();
    await owner.query(
      `set timezone = 'Pacific/Auckland'; set extra_float_digits = 0; set intervalstyle = 'iso_8601'`,
    );
    expect(await verify()).toMatchObject({ faults: [] });
  });

  it('is added to the hash chain page by page when there are many events', async () => {
    await owner.query(`insert into audit_events (type) select 'many' from generate_series(1, 25000)`);
    expect(await seal()).toBe(25_000);
    expect(await verify()).toMatchObject({ seals: 3, events: 25_000, faults: [] });
  });
});

describe('the owner of the database cannot hide that [LOG-05]', () => {
  it.each([
    [
      'an event was changed',
      `update audit_events set ip = '192.0.2.1' where id = 5`,
      'chain entry 2 .*: at least one of its events was changed',
    ],
    [
      'the details of one were changed',
      `update audit_events set details = '{"a":1}' where id = 5`,
      'chain entry 2 .*: at least one',
    ],
    [
      'an event was dated back',
      `update audit_events set at = at - interval '1 ms' where id = 5`,
      'chain entry 2 .*: at least one',
    ],
    [
      'an event was removed',
      'delete from audit_events where id = 5',
      'chain entry 2 .*: it was made of 3 events, but 2 exist',
    ],
    [
      'two events were exchanged',
      `update audit_events set user_agent = id::text where id in (1, 2)`,
      'chain entry 1 ',
    ],
    [
      'a seal was removed with its events',
      'delete from audit_events e using audit_chain s where s.id = 2 and e.id <@ s.events; delete from audit_chain where id = 2',
      'chain entry 3 .* does not follow the previous entry',
    ],
    [
      'a seal was removed and its events left',
      'delete from audit_chain where id = 2',
      'does not follow|lie between chained events',
    ],
    ['a seal was changed', `update audit_chain set hash = sha256(hash) where id = 2`, 'chain entry 2 '],
  ])('%s', async (_, sql, fault) => {
    await history();
    await tamper(sql);
    const { faults } = await verify();
    expect(faults.join('\n')).toMatch(new RegExp(fault));
  });

  it('the newest seals were removed or all recreated, if an earlier report was kept', async () => {
    await history();
    const { head } = await verify();
    const heads = [head!];
    await tamper('delete from audit_events where id > 6; delete from audit_chain where id = 3');
    expect(await verify()).toMatchObject({ faults: [] });
    expect((await verify({ heads })).faults).toEqual([
      'chain entry 3 is in the log, but missing in the database',
    ]);
    await act();
    await owner.query(`alter table audit_chain alter column id restart with 3`);
    await seal();
    expect((await verify({ heads })).faults).toEqual([
      expect.stringMatching(/^chain entry 3 .* differs from the entry in the log$/),
    ]);
  });

  it('an old event was inserted', async () => {
    await history();
    await tamper('delete from audit_events where id = 2');
    await seal();
    await owner.query(`insert into audit_events (id, type) overriding system value values (2, 'forged')`);
    expect((await verify()).faults.join('\n')).toContain('chain entry 1 ');
  });

  it('an event was inserted under an unused number', async () => {
    await owner.query(`select setval(pg_get_serial_sequence('audit_events', 'id'), 10)`);
    await history();
    clock.advance(DAY);
    await act();
    await seal();
    await owner.query(`insert into audit_events (id, type) overriding system value values (5, 'forged')`);
    expect((await verify()).faults).toEqual([
      '1 events lie between chained events, but belong to no chain entry',
    ]);
  });
});

describe('retention', () => {
  it('removes the events of whole chain entries and keeps the chain [LOG-05]', async () => {
    await history();
    clock.advance(DAY);
    await act();
    await seal();
    const retainedSince = new Date(clock.now() - DAY / 2);
    expect(await pruneAudit(owner, retainedSince)).toBe(9);
    expect(await verify({ retainedSince })).toMatchObject({ seals: 4, events: 3, removed: 3, faults: [] });
    expect((await verify()).faults).toHaveLength(3); // too early for a retention that is longer
  });

  it('does not unlock the log for the next user of the same connection', async () => {
    await history();
    await pruneAudit(owner, new Date(0));
    await expect(owner.query('delete from audit_events')).rejects.toThrow('is append-only');
  });
});

describe('npm run audit:verify', () => {
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, [resolve('dist/platform/audit/audit.cli.js'), ...args], {
      env: { ...process.env, DATABASE_URL: process.env['TEST_DATABASE_URL'] },
    }).then(
      ({ stdout }) => ({ code: 0, output: stdout }),
      ({ code, stdout, stderr }) => ({ code, output: `${stdout}${stderr}` }),
    );

  it('prints the number of chain entries and the state of the log, and exits with 1 when an entry does not match', async () => {
    await history();
    const { head } = await verify();
    const good = await run('verify', '--head', head!);
    expect(good).toEqual({
      code: 0,
      output: `9 events in 3 hash chain entries (the events of 0 entries were pruned), 0 events not yet in the chain\nthe last chain entry is ${head}\n`,
    });
    await tamper('delete from audit_events where id = 5');
    const bad = await run('verify');
    expect(bad.code).toBe(1);
    expect(bad.output).toContain('INTEGRITY ERROR: chain entry 2 of ');
    expect(await run('verify', '--retention', 'soon')).toMatchObject({ code: 1 });
    expect(await run('prune', '--retention', '400d')).toEqual({ code: 0, output: '0 events removed\n' });
  });
});

it('an action and its event commit together, and an action whose event cannot be written does not happen [LOG-06]', async () => {
  const alice = await loggedIn(a, ALICE);
  await owner.query(`alter table audit_events add constraint nothing_more check (id < 0) not valid`);
  try {
    expect((await alice.delete('/v1/sessions?except=current')).status).toBeGreaterThanOrEqual(500);
    expect((await a.client().login(ALICE.email, PASSWORD)).status).toBeGreaterThanOrEqual(500);
  } finally {
    await owner.query('alter table audit_events drop constraint nothing_more');
  }
  expect((await alice.get('/v1/sessions')).body.items.length).toBeGreaterThan(0);
});
