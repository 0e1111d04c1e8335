import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEMO_PASSWORD, DEMO_USERS } from '../../src/seeds.js';
import { PRODUCT } from '../../src/product.js';
import type { Answer, Client } from '../../test/support/client.js';
import { startCollector, type ReceivedSpan } from '../../test/support/collector.js';
import { runToEnd, startInstance, type Instance } from '../../test/support/instance.js';
import { overHttp } from '../../test/support/over-http.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { startPostgres, startRedis, type Service } from '../../test/support/services.mjs';
import { eventually } from '../../test/support/waiting.js';

/** Real: the bundle in a process of its own, PostgreSQL, Redis, and OTLP over HTTP to a collector of the test. */

jest.setTimeout(300_000);

const ALICE = DEMO_USERS[1]!;
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const CALLER = { traceparent: `00-${TRACE}-${PARENT}-01` };
const folder = mkdtempSync(join(tmpdir(), 'drawbridge-tracing-'));
let postgres: Service;
let redis: Service;

beforeAll(async () => {
  [postgres, redis] = [await startPostgres(), (await startRedis())!];
});
afterAll(async () => {
  await Promise.all([postgres?.stop(), redis?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

type Line = Record<string, unknown>;

/** Runs the bundle with these settings until the work is done. Returns its log and the files that it has loaded. */
async function run(
  env: Record<string, string>,
  work: (client: Client, instance: Instance) => Promise<unknown>,
) {
  const coverage = mkdtempSync(join(folder, 'loaded-'));
  const instance = await startInstance({
    NODE_ENV: 'test',
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    DATA_DIR: folder,
    SEED_USERS: 'true',
    MIGRATE_ON_BOOT: 'true',
    NODE_V8_COVERAGE: coverage,
    ...env,
  });
  await work(overHttp(instance.url).client(), instance);
  expect(await instance.stop()).toBe(0);
  const lines = instance
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'));
  return { lines: lines.map((line) => JSON.parse(line) as Line), loaded: loadedIn(coverage) };
}

/** V8 lists each script that it has loaded. */
function loadedIn(coverage: string): string[] {
  return readdirSync(coverage).flatMap((file) => {
    const { result } = JSON.parse(readFileSync(join(coverage, file), 'utf8')) as {
      result: { url: string }[];
    };
    return result.map(({ url }) => url.split('/').at(-1)!);
  });
}

const TRACING_FILE = /^tracing-\w+\.js$/;

describeWithRedis('with OTEL_EXPORTER_OTLP_ENDPOINT', () => {
  let collector: Awaited<ReturnType<typeof startCollector>>;
  let answers: Record<'login' | 'first' | 'cached' | 'missing' | 'live', Answer>;
  let lines: Line[];
  let loaded: string[];
  let secrets: string[];
  const spansOf = ({ headers }: Answer): ReceivedSpan[] => {
    const server = collector.spans.find(
      ({ attributes }) => attributes['request.id'] === headers['x-request-id'],
    );
    const within = (parent: ReceivedSpan): ReceivedSpan[] => [
      parent,
      ...collector.spans.filter(({ parentSpanId }) => parentSpanId === parent.spanId).flatMap(within),
    ];
    return server ? within(server) : [];
  };
  const systemsOf = (answer: Answer) =>
    new Set(
      spansOf(answer)
        .map(({ attributes }) => attributes['db.system.name'])
        .filter(Boolean),
    );

  beforeAll(async () => {
    collector = await startCollector();
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=lab',
    };
    ({ lines, loaded } = await run(env, async (client) => {
      const current = (query = '') => client.get(`/v1/sessions/current${query}`, { headers: CALLER });
      const login = await client.login(ALICE.email, DEMO_PASSWORD, { transport: 'bearer' });
      const first = await current();
      let cached = await current('?x=secret-in-a-query');
      // The first answers may come before the entry of the cache is written.
      for (let count = 0; count < 20; count += 1) cached = await current();
      const missing = await client.get('/nowhere/secret-in-a-path', { headers: CALLER });
      const live = await client.get('/health/live', { headers: CALLER });
      answers = { login, first, cached, missing, live };
      secrets = [
        client.accessToken!,
        client.refreshToken!,
        DEMO_PASSWORD,
        ALICE.email,
        login.body.session.id,
      ];
    }));
  });
  afterAll(() => collector?.stop());

  it('a request is one trace of HTTP, PostgreSQL and Redis that continues `traceparent`', () => {
    const [server, ...stores] = spansOf(answers.first);
    expect(server).toMatchObject({
      name: 'GET /v1/sessions/current',
      kind: 2,
      traceId: TRACE,
      parentSpanId: PARENT,
      attributes: {
        'http.request.method': 'GET',
        'http.route': '/v1/sessions/current',
        'http.response.status_code': 200,
        'request.id': answers.first.headers['x-request-id'],
      },
    });
    expect(systemsOf(answers.first)).toEqual(new Set(['redis', 'postgresql']));
    for (const span of stores)
      expect(span).toMatchObject({ kind: 3, traceId: TRACE, parentSpanId: server!.spanId });
    expect(systemsOf(answers.cached)).toEqual(new Set(['redis']));
  });

  it('a request with a body, and without `traceparent`, begins a trace with its statements', () => {
    const [server, ...stores] = spansOf(answers.login);
    expect(server!.parentSpanId || undefined).toBeUndefined();
    expect(server!.traceId).not.toBe(TRACE);
    const operations = stores.map(({ attributes }) => attributes['db.operation.name']);
    expect(operations).toEqual(expect.arrayContaining(['INSERT', 'COMMIT']));
  });

  it('no token, password, address, id of a session, path or query is in a span', () => {
    expect(collector.text()).toContain('/v1/auth/login');
    for (const secret of [...secrets, 'secret-in-a-query', 'secret-in-a-path'])
      expect(collector.text()).not.toContain(secret);
    expect(spansOf(answers.missing)[0]).toMatchObject({ name: 'GET' });
  });

  it('a probe has no span, and neither has a background job', () => {
    expect(spansOf(answers.live)).toEqual([]);
    const roots = collector.spans.filter(({ parentSpanId }) => !parentSpanId || parentSpanId === PARENT);
    expect(roots.filter(({ kind }) => kind !== 2)).toEqual([]);
  });

  it('the spans name the service, its version, and what OTEL_RESOURCE_ATTRIBUTES adds', () => {
    expect(collector.resources[0]).toMatchObject({
      'service.name': PRODUCT.slug,
      'service.version': expect.stringMatching(/^\d/),
      'deployment.environment.name': 'lab',
    });
  });

  it('the log line of a request names its trace and its span', () => {
    const [server] = spansOf(answers.first);
    const line = lines.find(({ requestId }) => requestId === answers.first.headers['x-request-id']);
    expect(line).toMatchObject({ msg: 'request', trace_id: TRACE, span_id: server!.spanId });
    expect(lines.find(({ event }) => event === 'sys_startup')).not.toHaveProperty('trace_id');
  });

  it('OpenTelemetry is loaded', () => {
    expect(loaded).toContainEqual(expect.stringMatching(TRACING_FILE));
  });
});

describeWithRedis('with OTEL_TRACES_SAMPLER_ARG=0', () => {
  it('only requests of a trace that the client records have spans', async () => {
    const collector = await startCollector();
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`, OTEL_TRACES_SAMPLER_ARG: '0' };
    await run(env, async (client) => {
      await client.get('/v1/users/me');
      await client.get('/v1/users/me', { headers: CALLER });
    });
    await collector.stop();
    expect(collector.spans).toMatchObject([
      { kind: 2, traceId: TRACE, attributes: { 'problem.code': 'auth.unauthenticated' } },
    ]);
  });
});

describe('with a collector that is away', () => {
  it('requests are answered, the log warns once, and the process ends', async () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' };
    const { lines } = await run(env, async (client, instance) => {
      expect(await client.login(ALICE.email, DEMO_PASSWORD)).toMatchObject({ status: 200 });
      await eventually(() => expect(instance.output()).toContain('traces could not be sent'));
      expect(await client.get('/v1/users/me')).toMatchObject({ status: 200 });
    });
    const complaints = lines.filter(({ msg }) => msg === 'traces could not be sent');
    expect(complaints).toMatchObject([{ level: 'warn', err: { code: 'ECONNREFUSED' } }]);
  });
});

describe('without OTEL_EXPORTER_OTLP_ENDPOINT', () => {
  it('OpenTelemetry is not loaded, and no log line names a trace', async () => {
    const { lines, loaded } = await run({}, (client) => client.get('/v1/users/me', { headers: CALLER }));
    expect(loaded).toContain('main.js');
    expect(loaded.filter((file) => TRACING_FILE.test(file))).toEqual([]);
    const [line] = lines.filter(({ msg }) => msg === 'request');
    expect(line).toBeDefined();
    expect(line).not.toHaveProperty('trace_id');
  });

  it.each([{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, { OTEL_TRACES_SAMPLER_ARG: '1.5' }])(
    'a wrong value stops the boot and is explained: %j',
    async (env) => {
      const { code, output } = await runToEnd(env as unknown as Record<string, string>);
      expect(code).toBe(1);
      expect(output).toMatch(new RegExp(`${Object.keys(env)[0]} "${Object.values(env)[0]}" .*; allowed: `));
    },
  );
});
