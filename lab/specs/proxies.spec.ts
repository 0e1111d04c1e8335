import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Jobs } from '../../src/platform/jobs/jobs.js';
import { ALICE, PASSWORD, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { writeGeoDatabase } from '../../test/support/geo-database.js';
import { describeWithRedis } from '../../test/support/redis.js';

/**
 * Real: PostgreSQL, instances over HTTP, the geolocation database. Requests come from 127.0.0.1, a trusted proxy.
 */

describe('a client behind a proxy that writes ports and brackets into X-Forwarded-For', () => {
  let folder: string;
  let app: TestApp;
  const lines: string[] = [];

  beforeAll(async () => {
    await resetStores();
    folder = await mkdtemp(join(tmpdir(), 'drawbridge-proxies-'));
    const file = join(folder, 'countries.mmdb');
    await writeGeoDatabase(file, [['203.0.113.0/24', { country: { iso_code: 'AT' } }]]);
    app = await startApp({
      env: {
        TRUSTED_PROXIES: '127.0.0.1,10.0.0.0/8',
        GEOIP_DATABASE: file,
        RATE_LIMITS: 'on',
        REDIS_URL: undefined,
      },
      logger: pino({ level: 'info' }, { write: (line: string) => lines.push(line) }),
    });
    app.get(Jobs).stop('mail-outbox'); // mails stay in the table, where the test reads them
  });
  afterAll(async () => {
    await app.close();
    await rm(folder, { recursive: true });
  });

  it.each([
    ['203.0.113.7:51234', '203.0.113.7', 'AT'],
    ['[2001:db8::7]:443', '2001:db8::7', undefined],
    ['::ffff:203.0.113.9', '203.0.113.9', 'AT'],
    ['198.51.100.9, 203.0.113.8:1, 10.1.2.3:80', '203.0.113.8', 'AT'],
  ])(
    'has its address on the session, in the audit log, in the mail and in the log: %s',
    async (header, ip, country) => {
      lines.length = 0;
      const client = Object.assign(app.client(), { headers: { 'x-forwarded-for': header } });
      expect((await client.login(ALICE.email, PASSWORD)).status).toBe(200);
      expect((await client.get('/v1/sessions/current')).body).toMatchObject({
        ip,
        ...(country && { country }),
      });
      const [event] = await app.query(
        `select host(ip) as ip from audit_events where type = 'authn_login_success' order by id desc limit 1`,
      );
      expect(event).toEqual({ ip });
      const [mail] = await app.query<{ data: object }>('select data from mails order by id desc limit 1');
      expect(mail!.data).toMatchObject({ ip, ...(country && { country }) });
      expect(lines.map((line) => JSON.parse(line))).toContainEqual(
        expect.objectContaining({ event: 'session_created', ip }),
      );
    },
  );
});

describeWithRedis('in production, X-Forwarded-Proto: http', () => {
  const production = (env: Record<string, string> = {}) =>
    startApp({
      env: {
        NODE_ENV: 'production',
        KEYS_FILE: 'those of the test',
        RATE_LIMITS: 'on',
        METRICS_TOKEN: 'a-token-for-Prometheus',
        TRUSTED_PROXIES: '127.0.0.1',
        ...env,
      },
    });
  const headers = { 'x-forwarded-proto': 'http' };
  const refused = { status: 403, body: { code: 'request.insecure' } };

  it('refuses a request, except to health, metrics and public keys', async () => {
    const app = await production();
    expect(await app.client().get('/v1/users/me', { headers })).toMatchObject(refused);
    expect(await app.client().post('/v1/auth/login', {}, { headers })).toMatchObject(refused);
    for (const path of ['/health/live', '/health/ready', '/.well-known/jwks.json']) {
      for (const method of ['GET', 'HEAD'] as const) {
        expect(await app.client().request(method, path, { headers })).toMatchObject({ status: 200 });
      }
    }
    const authorization = 'Bearer a-token-for-Prometheus';
    expect(await app.client().get('/metrics', { headers: { ...headers, authorization } })).toMatchObject({
      status: 200,
    });
    await app.close();
  });

  it('is ignored from a peer that is not in TRUSTED_PROXIES', async () => {
    for (const TRUSTED_PROXIES of ['10.0.0.0/8', '']) {
      const app = await production({ TRUSTED_PROXIES });
      expect(await app.client().get('/v1/users/me', { headers })).toMatchObject({ status: 401 });
      await app.close();
    }
  });

  it('is ignored with REFUSE_PLAIN_HTTP=false, for sidecars that describe their own hop', async () => {
    const app = await production({ REFUSE_PLAIN_HTTP: 'false' });
    expect(await app.client().get('/v1/users/me', { headers })).toMatchObject({ status: 401 });
    await app.close();
  });
});

it('X-Forwarded-Proto: http refuses a request outside of production only with REFUSE_PLAIN_HTTP=true', async () => {
  for (const [REFUSE_PLAIN_HTTP, status] of [
    ['true', 403],
    ['', 401],
  ] as const) {
    const app = await startApp({
      env: { REFUSE_PLAIN_HTTP, TRUSTED_PROXIES: '127.0.0.1', REDIS_URL: undefined },
    });
    const answer = await app.client().get('/v1/users/me', { headers: { 'x-forwarded-proto': 'http' } });
    expect(answer.status).toBe(status);
    await app.close();
  }
});
