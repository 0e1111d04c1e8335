import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MetricObject } from 'prom-client';
import { Metrics } from '../../src/platform/metrics/metrics.js';
import { RefreshService } from '../../src/sessions/refresh/refresh.service.js';
import { DataSource } from 'typeorm';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { RevocationSubscriber } from '../../src/sessions/revocation/revocation-subscriber.js';
import {
  ALICE,
  holdBackgroundWork,
  PASSWORD,
  resetClock,
  resetStores,
  startApp,
  TEST_KEYS,
  type TestApp,
} from '../../test/support/app.js';
import { loggedIn } from '../../test/support/test-users.js';
import { describeWithProgram } from '../manifests/programs.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { PRODUCT } from '../../src/product.js';

/** Real: an instance with PostgreSQL and Redis, its metrics, promtool, and the files that an operator loads. */

const TOKEN = 'a-token-for-Prometheus';
const FOLDER = 'deploy/observability';
const REFERENCE = 'docs/reference/metrics.md';
const alerts = readFileSync(`${FOLDER}/alerts.yml`, 'utf8');
const alertTests = readFileSync(`${FOLDER}/alerts.test.yml`, 'utf8');
const alertNames = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);
const folder = mkdtempSync(join(tmpdir(), 'drawbridge-metrics-'));
afterAll(() => rmSync(folder, { recursive: true }));

function promtool(args: string[], input?: string): { code: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8', input });
  return { code: status, output: stdout + stderr };
}

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: Record<'x' | 'y' | 'w' | 'h', number>;
  targets?: { expr: string; legendFormat: string }[];
}
const dashboard = JSON.parse(readFileSync(`${FOLDER}/dashboard.json`, 'utf8')) as {
  panels: Panel[];
  templating: { list: { name: string; query: string }[] };
};
const charts = dashboard.panels.filter(({ type }) => type !== 'row');
const expressions = charts.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

/** The names of metrics in PromQL: labels and functions have no prefix of a metric. */
const METRIC = new RegExp(`\\b(?:${PRODUCT.metricPrefix}|nodejs_|process_|http_request_)\\w+`, 'g');

describeWithRedis('the metrics of an instance', () => {
  let app: TestApp;
  let text: string;
  let rows: string[];

  beforeAll(async () => {
    await resetStores();
    const [signing] = TEST_KEYS.signing;
    const keys = { ...TEST_KEYS, signing: [{ ...signing!, startsAt: Date.parse('2026-01-01') }] };
    app = await startApp({ env: { METRICS_TOKEN: TOKEN }, keys });
    const alice = app.client();
    await alice.login(ALICE.email, 'not the password');
    await alice.login(ALICE.email, PASSWORD);
    await alice.get('/v1/sessions/current');
    const headers = { authorization: `Bearer ${TOKEN}` };
    ({ text } = await app.client().get('/metrics', { headers }));
    // The histograms of the core have the same fields as those of prom-client.
    const metrics = app.get(Metrics).registry.getMetricsAsArray() as unknown as (MetricObject & {
      labelNames?: string[];
    })[];
    rows = metrics
      .map(({ name, type, labelNames = [], help }) => {
        const labels = labelNames.filter((label) => label !== 'le').map((label) => `\`${label}\``);
        return `| \`${name}\` | ${TYPES[String(type)] ?? String(type)} | ${labels.join(', ')} | ${help} |`;
      })
      .sort();
  });
  afterAll(() => app.close());
  const TYPES: Record<string, string> = { 0: 'counter', 1: 'gauge', 2: 'histogram', 3: 'summary' };

  it('are those of docs/reference/metrics.md, with type, labels and help', () => {
    const page = readFileSync(REFERENCE, 'utf8');
    const isOurs = (row: string) => /^\| `(?!nodejs_|process_)/.test(row);
    const written = page.split('\n').filter((line) => /^\| `\w+` \| (counter|gauge|histogram) /.test(line));
    if (process.env['METRICS_DOCS'] === 'write') {
      const table = rows.filter(isOurs).join('\n');
      writeFileSync(REFERENCE, page.replace(written.join('\n') || '<table>', table));
      return;
    }
    expect(written).toEqual(rows.filter(isOurs));
  });

  it('have a unit or `_total` in their names, and no label of Prometheus itself', () => {
    for (const row of rows.filter((row) => row.includes(PRODUCT.metricPrefix))) {
      const [, name, type, labels] = /^\| `(\w+)` \| (\w+) \| (.*?) \|/.exec(row)!;
      expect([name, name!.endsWith('_total')]).toEqual([name, type === 'counter']);
      expect(name).not.toMatch(/_(ms|milliseconds|minutes|kb|mb|percent)(_|$)/);
      expect(labels).not.toMatch(/`(job|instance|le|quantile)`/);
    }
  });

  it('have a sample each, and HELP and TYPE', () => {
    const names = rows.map((row) => /`(\w+)`/.exec(row)![1]!);
    const isSilent = (name: string) => !new RegExp(`^${name}(_count)?[ {]`, 'm').test(text);
    // Nothing was throttled, and the server has ended no connection. A collection of garbage may not have happened.
    expect(names.filter((name) => isSilent(name) && !name.startsWith('nodejs_'))).toEqual([
      `${PRODUCT.metricPrefix}open_connections_ended_total`,
      `${PRODUCT.metricPrefix}throttled_total`,
    ]);
    for (const name of names)
      expect(text).toMatch(
        new RegExp(`^# HELP ${name} \\S.*\n# TYPE ${name} (counter|gauge|histogram)$`, 'm'),
      );
  });

  it('contain every metric that alerts, their tests and the dashboard name', () => {
    const real = new Set([...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name!));
    const isReal = (name: string) =>
      real.has(name) ||
      (real.has(name.replace(/_(bucket|sum|count)$/, '')) && /_(bucket|sum|count)$/.test(name));
    const queries = dashboard.templating.list.map(({ query }) => query);
    for (const source of [alerts, alertTests, [...expressions, ...queries].join('\n')]) {
      const named = [...source.matchAll(METRIC)].map(([name]) => name);
      expect(named.length).toBeGreaterThan(3);
      expect(named.filter((name) => !isReal(name))).toEqual([]);
    }
  });

  const read = async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    return (await app.client().get('/metrics', { headers })).text;
  };
  const valueOf = async (sample: string) => {
    const line = (await read())
      .split('\n')
      .find((line) => line.startsWith(`${PRODUCT.metricPrefix}${sample} `));
    return line === undefined ? undefined : Number(line.split(' ')[1]);
  };

  it('count refreshes by their result, and audit events by their type', async () => {
    const client = app.client();
    await client.login(ALICE.email, PASSWORD, { transport: 'bearer' });
    const thief = client.copy();
    const { results } = app.get(RefreshService);
    const before = { ...results };
    expect((await client.refresh()).status).toBe(200);
    expect(results).toEqual({ ...before, rotated: before.rotated + 1 });
    await client.post('/v1/auth/refresh', { refreshToken: 'no token' });
    expect(results.refused).toBe(before.refused + 1);
    for (let count = 0; count < 3; count += 1) {
      app.clock.advance(60_000);
      expect((await client.refresh()).status).toBe(200);
    }
    expect(await valueOf('audit_events_total{type="authn_token_reuse"}')).toBe(0);
    expect((await thief.refresh()).body).toMatchObject({ reason: 'refresh_reuse' });
    expect(results.reuse).toBe(before.reuse + 1);
    // The session has ended before: no theft that is new.
    expect((await thief.refresh()).body).toMatchObject({ reason: 'refresh_reuse' });
    expect(await valueOf('session_refreshes_total{result="reuse"}')).toBe(before.reuse + 1);
    expect(await valueOf('audit_events_total{type="authn_token_reuse"}')).toBe(1);
    await resetClock(app);
  });

  it('measure each revocation until this instance knows it, but none from before its boot', async () => {
    const { id } = await loggedIn(app, ALICE);
    const before = (await valueOf('revocation_delay_seconds_count')) ?? NaN;
    await app.get(RevocationService).endSession(id, { reason: 'admin', actorId: null, context: null });
    expect(await valueOf('revocation_delay_seconds_count')).toBe(before + 1);
    await app.get(RevocationSubscriber).catchUp();
    expect(await valueOf('revocation_delay_seconds_count')).toBe(before + 1);
    const later = await startApp({ env: { METRICS_TOKEN: TOKEN } });
    const headers = { authorization: `Bearer ${TOKEN}` };
    const { text: ofLater } = await later.client().get('/metrics', { headers });
    await later.close();
    expect(ofLater).toContain(`${PRODUCT.metricPrefix}revocation_delay_seconds_count 0\n`);
  });

  it('show the tasks of a queue and the age of the oldest, and neither while PostgreSQL does not answer', async () => {
    holdBackgroundWork(app);
    await app.query(`delete from mails`);
    const age = 'queue_oldest_task_age_seconds{queue="mail-outbox"}';
    expect([await valueOf('queue_tasks{queue="mail-outbox"}'), await valueOf(age)]).toEqual([0, 0]);
    for (const minutes of [5, 20])
      await app.query(
        `insert into mails (recipient, template, data, created_at, next_attempt_at)
         values ('a@example.com', 'x', '{}', now() - make_interval(mins => $1), now() + interval '1 hour')`,
        [minutes],
      );
    expect(await valueOf('queue_tasks{queue="mail-outbox"}')).toBe(2);
    expect(await valueOf(age)).toBeGreaterThan(1_199);
    expect(await valueOf(age)).toBeLessThan(1_320);
    const query = jest.spyOn(app.get(DataSource), 'query').mockRejectedValue(new Error('away'));
    expect(await valueOf('queue_tasks{queue="mail-outbox"}')).toBeUndefined();
    expect(await valueOf('denial_list_entries')).toBeGreaterThan(0);
    query.mockRestore();
    await app.query(`delete from mails`);
  });

  it('show the pools, Redis, the reads of session checks, and the version', async () => {
    expect(await valueOf('postgres_pool_max_connections{pool="checks"}')).toBe(3);
    expect(await valueOf('postgres_pool_connections{pool="checks",state="busy"}')).toBe(0);
    expect(await valueOf('postgres_pool_connections{pool="main",state="idle"}')).toBeGreaterThan(0);
    expect(await valueOf('redis_servers{state="available"}')).toBe(1);
    expect(await valueOf('redis_servers{state="unavailable"}')).toBe(0);
    expect(await valueOf('session_check_read_duration_seconds_count{store="postgres"}')).toBeGreaterThan(0);
    expect(await valueOf('session_check_read_duration_seconds_count{store="cache"}')).toBeGreaterThan(0);
    expect(await valueOf('key_start_timestamp_seconds{kind="signing"}')).toBe(
      Date.parse('2026-01-01') / 1_000,
    );
    expect(await read()).toMatch(/build_info\{version="\d/);
  });

  describeWithProgram('promtool', 'as promtool sees them', () => {
    it('break no convention of Prometheus', () => {
      expect(promtool(['check', 'metrics'], text)).toEqual({ code: 0, output: '' });
    });
  });
});

describe('the alerts', () => {
  it('have a duration, a severity, a summary and a runbook that exists', () => {
    const rules = alerts.split(/^ {6}- alert: /m).slice(1);
    expect(rules.length).toBeGreaterThan(15);
    for (const rule of rules) {
      expect(rule).toMatch(/^ {8}for: \d+[smh]$/m);
      expect(rule).toMatch(/^ {10}severity: (critical|warning|info)$/m);
      expect(rule).toMatch(/^ {10}summary: '.{10,}\.'$/m);
      const [, runbook] = /^ {10}runbook: (docs\/\S+\.md)$/m.exec(rule)!;
      expect([runbook, existsSync(runbook!)]).toEqual([runbook, true]);
    }
  });

  it('have a test that fires and one that does not', () => {
    const tests = alertTests.split(/^ {2}- name: /m).slice(1);
    const tested = tests.map((test) => [
      /^ {8}alertname: (\w+)$/m.exec(test)![1],
      /^ {8}exp_alerts: \[\]$/m.test(test) ? 'silent' : 'fires',
    ]);
    expect(tested).toEqual(
      alertNames.flatMap((name) => [
        [name, 'fires'],
        [name, 'silent'],
      ]),
    );
  });

  it('are explained in docs/operations/observability.md, each in its row', () => {
    const page = readFileSync('docs/operations/observability.md', 'utf8');
    expect(alertNames.filter((name) => !page.includes(`| \`${name}\` |`))).toEqual([]);
  });

  describeWithProgram('promtool', 'as promtool sees them', () => {
    it('are valid, and pass their tests', () => {
      const checked = promtool(['check', 'rules', '--lint-fatal', `${FOLDER}/alerts.yml`]);
      expect(checked).toEqual({
        code: 0,
        output: expect.stringContaining(`${alertNames.length} rules found`),
      });
      const tested = promtool(['test', 'rules', `${FOLDER}/alerts.test.yml`]);
      expect(tested).toEqual({ code: 0, output: expect.stringContaining('SUCCESS') });
    });

    it('are loaded by the example configuration of Prometheus', () => {
      const { code, output } = promtool(['check', 'config', '--syntax-only', `${FOLDER}/prometheus.yml`]);
      expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('SUCCESS') });
    });
  });
});

describe('the dashboard', () => {
  it('has charts with a title and queries, which do not overlap', () => {
    expect(charts.length).toBeGreaterThan(15);
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const cells = new Set<string>();
    for (const { title, targets = [], gridPos } of charts) {
      expect(title).toMatch(/\S/);
      expect(targets.length).toBeGreaterThan(0);
      for (const { expr, legendFormat } of targets) expect([expr, legendFormat]).not.toContain('');
      const { x, y, w, h } = gridPos;
      expect(x + w).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column += 1)
        for (let line = y; line < y + h; line += 1) {
          expect(cells).not.toContain(`${column} ${line}`);
          cells.add(`${column} ${line}`);
        }
    }
  });

  describeWithProgram('promtool', 'as promtool sees it', () => {
    it('has only queries that Prometheus can parse', () => {
      const rules = expressions.map((expr, index) => {
        const filled = expr
          .replaceAll('$__rate_interval', '1m')
          .replaceAll('$job', 'x')
          .replaceAll('$instance', '.+');
        expect(filled).not.toContain('$');
        return `      - { record: 'panel:${index}', expr: ${JSON.stringify(filled)} }`;
      });
      const file = join(folder, 'panels.yml');
      writeFileSync(file, `groups:\n  - name: panels\n    rules:\n${rules.join('\n')}\n`);
      expect(promtool(['check', 'rules', file])).toEqual({
        code: 0,
        output: expect.stringContaining(`${expressions.length} rules found`),
      });
    });
  });
});
