import { afterAll, afterEach, expect, it, jest } from '@jest/globals';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { RedisNode } from '../../src/platform/cache/redis-node.js';
import { RedisServers } from '../../src/platform/cache/redis-servers.js';
import { ADMIN, ALICE, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { makeCertificates } from '../../test/support/certificates.js';
import { judged, untilCached, untilThere } from '../../test/support/session-probes.js';
import { loggedIn } from '../../test/support/test-users.js';
import { startRedisCluster, type RedisCluster } from '../../test/support/redis-cluster.mjs';
import { describeWithOwnRedis } from '../../test/support/redis.js';
import { eventually } from '../../test/support/waiting.js';

/** Real: a Redis Cluster that speaks TLS and announces addresses (127.0.0.1), with certificates for names. */

const folder = mkdtempSync(join(tmpdir(), 'drawbridge-cluster-tls-'));
chmodSync(folder, 0o755); // the servers run as another user when root starts them
const clusters: RedisCluster[] = [];

async function freePorts(count: number): Promise<number[]> {
  const probes = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(probes.map((probe) => new Promise((listening) => probe.once('listening', listening))));
  const ports = probes.map((probe) => (probe.address() as AddressInfo).port);
  await Promise.all(probes.map((probe) => new Promise((closed) => probe.close(closed))));
  return ports.some((port) => port > 55_000) ? freePorts(count) : ports;
}

/** A cluster with a certificate for one name, and the `REDIS_URL` and `STORE_CA_FILE` for it. */
async function start(name: string) {
  const { authority, server } = makeCertificates(name);
  const ports = await freePorts(3);
  const ca = join(folder, `${name}.pem`);
  writeFileSync(ca, authority);
  const cluster = await startRedisCluster({ tls: { ...server, ports, authorityFile: ca } });
  if (!cluster) return null;
  clusters.push(cluster);
  return { cluster, ports, ca, authority };
}

/** The internals that know the names of a node, once the cluster is found. */
interface Discovered {
  cluster: { namesOf(address: string): string[] } | null;
}

const named = await start('localhost');

jest.setTimeout(120_000);

describeWithOwnRedis(named, 'a Redis Cluster over TLS that announces addresses', () => {
  let app: TestApp;
  let lines: string[] = [];

  afterEach(async () => {
    await app?.close();
    app = undefined!;
  });
  afterAll(async () => {
    await Promise.all(clusters.map((cluster) => cluster.stop()));
    rmSync(folder, { recursive: true });
  });

  async function boot(url: string, ca: string): Promise<void> {
    lines = [];
    const stream = new Writable({ write: (chunk, _, done) => (lines.push(String(chunk)), done()) });
    await resetStores();
    app = await startApp({
      env: { REDIS_URL: url, STORE_CA_FILE: ca, CACHE_BUDGET: '1s' },
      logger: pino({ level: 'warn' }, stream),
    });
  }

  const ready = () => app.client().get('/health/ready');

  it.each([1, 3])(
    'is used when REDIS_URL has the name of its certificates (%i of 3 nodes)',
    async (count) => {
      const { ports, ca } = named!;
      await boot(
        ports
          .slice(0, count)
          .map((port) => `rediss://localhost:${port}`)
          .join(),
        ca,
      );
      await untilThere(app);
      expect(await ready()).toMatchObject({ status: 200, body: { cache: 'ok' } });
      const [admin, ...people] = [
        await loggedIn(app, ADMIN),
        ...(await Promise.all(Array.from({ length: 6 }, () => loggedIn(app, ALICE)))),
      ];
      for (const person of people) {
        await untilCached(app, person);
        expect(await judged(app, person)).toBe('live, says the cache');
        const receipt = await admin!.delete(`/v1/admin/sessions/${person.id}`);
        expect(receipt).toMatchObject({ status: 200, body: { status: 'applied' } });
      }
    },
  );

  it('is used with a certificate for the host name that a node announces beside its address', async () => {
    const { cluster, ports, authority } = (await start('redis.internal'))!;
    for (const node of cluster.nodes)
      await node.command('CONFIG', 'SET', 'cluster-announce-hostname', 'redis.internal');
    const logger = pino({ level: 'silent' });
    // By its ports without TLS, to set the announced names.
    const servers = new RedisServers([cluster.nodes[0]!.url], logger);
    const { host } = new URL(cluster.nodes[1]!.url);
    const names = () => (servers as unknown as Discovered).cluster?.namesOf(host) ?? [host];
    const node = new RedisNode(`rediss://127.0.0.1:${ports[1]}`, logger, authority, names);
    try {
      await eventually(() => expect(names()).toContain('redis.internal'), 20_000);
      await eventually(() => expect(node.isMaster).toBe(true), 20_000);
    } finally {
      node.close();
      servers.close();
    }
  });

  it('is not ready, and names the setting, when no name fits', async () => {
    const { ports, ca } = (await start('another.internal'))!;
    await boot(`rediss://localhost:${ports[0]}`, ca);
    await eventually(async () =>
      expect(await ready()).toMatchObject({
        status: 503,
        body: { status: 'failing', cache: 'failing', postgres: 'ok' },
      }),
    );
    expect(lines.join('')).toMatch(/REDIS_URL.*cluster-announce-hostname/);
    const alice = await loggedIn(app, ALICE);
    expect((await alice.get('/v1/sessions/current')).status).toBe(200);
  });
});
