import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ALICE, PASSWORD, startApp } from '../../test/support/app.js';
import { makeCertificates } from '../../test/support/certificates.js';
import { runToEnd } from '../../test/support/instance.js';
import { describeWithOwnRedis } from '../../test/support/redis.js';
import { startPostgres, startRedis, type Server } from '../../test/support/services.mjs';
import { eventually } from '../../test/support/waiting.js';
import { PRODUCT } from '../../src/product.js';

/** Real: PostgreSQL and Redis with certificates for the name `localhost`, by an authority that openssl makes. */

const folder = mkdtempSync(join(tmpdir(), 'drawbridge-store-tls-'));
const [ours, another] = [makeCertificates('localhost'), makeCertificates('localhost')];
const files = { ours: join(folder, 'ours.pem'), another: join(folder, 'another.pem') };
writeFileSync(files.ours, ours.authority);
writeFileSync(files.another, another.authority);

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((listening) => probe.once('listening', listening));
  const { port } = probe.address() as AddressInfo;
  await new Promise((closed) => probe.close(closed));
  return port;
}

const tlsPort = await freePort();
const redis = await startRedis({ tls: { ...ours.server, port: tlsPort } });
afterAll(() => rmSync(folder, { recursive: true }));

describeWithOwnRedis(redis, 'PostgreSQL and Redis over TLS', () => {
  let postgres: Server;
  let databaseAt: (host: string) => string;
  let migrate: (url: string, tls: object) => Promise<string[]>;

  beforeAll(async () => {
    postgres = await startPostgres({ tls: ours.server });
    databaseAt = (hostname) => Object.assign(new URL(postgres.url), { hostname }).href;
    const build = new URL('../../dist/platform/persistence/migrate.js', import.meta.url);
    ({ migrateDatabase: migrate } = (await import(build.href)) as { migrateDatabase: typeof migrate });
    await migrate(databaseAt('localhost'), { storeTls: 'always', storeCaFile: files.ours });
  });
  afterAll(() => Promise.all([postgres?.stop(), redis?.stop()]));

  const redisAt = (host: string) => `rediss://${host}:${tlsPort}`;
  const start = (env: Record<string, string>) =>
    startApp({
      env: {
        STORE_TLS: 'always',
        STORE_CA_FILE: files.ours,
        DATABASE_URL: databaseAt('localhost'),
        REDIS_URL: redisAt('localhost'),
        CACHE_BUDGET: '1s',
        ...env,
      },
    });

  it('work with TLS on every connection [OPS-04]', async () => {
    const app = await start({});
    try {
      expect((await app.client().login(ALICE.email, PASSWORD)).status).toBe(200);
      await eventually(async () =>
        expect((await app.client().get('/health/ready')).body).toMatchObject({ postgres: 'ok', cache: 'ok' }),
      );
      const connections = await app.query<{ name: string; ssl: boolean }>(
        `select application_name as name, ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name like '${PRODUCT.slug}%'`,
      );
      expect([...new Set(connections.map(({ name }) => name))].sort()).toEqual([
        PRODUCT.applicationName.main,
        PRODUCT.applicationName.check,
        PRODUCT.applicationName.feed,
        PRODUCT.applicationName.messages,
        PRODUCT.applicationName.revocations,
      ]);
      expect(connections.filter(({ ssl }) => !ssl)).toEqual([]);
    } finally {
      await app.close();
    }
  });

  it.each([
    ['by an unknown authority', 'localhost', files.another, /self.signed|unable to verify|certificate/],
    ['for another name', '127.0.0.1', files.ours, /does not match certificate|altnames/],
  ])('are refused with a certificate %s [OPS-04]', async (_, host, ca, why) => {
    const url = databaseAt(host);
    await expect(migrate(url, { storeTls: 'always', storeCaFile: ca })).rejects.toThrow(why);

    const { code, output } = await runToEnd({
      DATABASE_URL: url,
      STORE_TLS: 'always',
      STORE_CA_FILE: ca,
      DATA_DIR: folder,
    });
    expect(code).toBe(1);
    expect(output).toMatch(/DATABASE_URL .* STORE_TLS/);
    expect(output).toMatch(why);
    expect(output).not.toMatch(/\n\s+at /);
  });

  it.each([
    ['by an unknown authority', 'localhost', files.another],
    ['for another name', '127.0.0.1', files.ours],
  ])('a Redis with a certificate %s gets no data, and PostgreSQL answers [OPS-04]', async (_, host, ca) => {
    const plain = databaseAt('localhost');
    const app = await start({
      STORE_TLS: 'off',
      STORE_CA_FILE: ca,
      DATABASE_URL: plain,
      REDIS_URL: redisAt(host),
    });
    try {
      expect((await app.client().get('/health/ready')).body).toMatchObject({
        postgres: 'ok',
        cache: 'failing',
      });
      expect((await app.client().login(ALICE.email, PASSWORD)).status).toBe(200);
    } finally {
      await app.close();
    }
  });
});

/** Real: the application's process. */
describe('STORE_CA_FILE', () => {
  it.each([
    ['is not there', join(folder, 'none.pem'), /STORE_CA_FILE cannot be read/],
    ['has no certificate', join(folder, 'empty.pem'), /STORE_CA_FILE has no certificate/],
  ])('that %s stops the boot', async (_, file, why) => {
    writeFileSync(join(folder, 'empty.pem'), 'nothing');
    const { code, output } = await runToEnd({
      DATABASE_URL: 'postgres://unknown@db.example.com/nothing',
      STORE_TLS: 'remote',
      STORE_CA_FILE: file,
      DATA_DIR: folder,
    });
    expect(code).toBe(1);
    expect(output).toMatch(why);
    expect(output).not.toMatch(/\n\s+at /);
  });
});
