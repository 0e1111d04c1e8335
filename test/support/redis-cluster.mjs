import calculateSlot from 'cluster-key-slot';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'redis';
import { START_MS } from './processes.mjs';
import { startRedis } from './servers.mjs';

/** @typedef {import('./redis-cluster.d.mts').RedisProcess} RedisProcess */

const SLOTS = 16_384;
/** A cluster's nodes talk to each other on a port of their own, so many higher. */
const BUS_OFFSET = 10_000;
const HIGHEST_PORT = 65_535;

/**
 * One redis-server that accepts commands.
 * @param {string[]} [args] more arguments for redis-server
 * @returns {Promise<RedisProcess | null>} null when there is no redis-server on PATH
 */
export async function startRedisProcess(args = [], argsOf = undefined, tls = undefined) {
  const server = await startRedis({ args, argsOf, tls });
  return server && speaking(server);
}

/**
 * A Redis Cluster of processes on this machine.
 * @param {{ masters?: number, replicas?: number, args?: string[], tls?: object }} [options] replicas of each master; a
 *   certificate with the ports on which each node speaks TLS
 * @returns {Promise<import('./redis-cluster.d.mts').RedisCluster | null>} null when there is no redis-server on PATH
 */
export async function startRedisCluster({ masters = 3, replicas = 0, args = [], tls } = {}) {
  const count = masters * (1 + replicas);
  const nodes = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      startRedisProcess(
        [
          ...OPTIONS,
          ...args,
          ...(tls ? ['--tls-cluster', 'yes', '--tls-ca-cert-file', tls.authorityFile] : []),
        ],
        tls ? undefined : busPortArgs,
        tls && { ...tls, port: tls.ports[index] },
      ),
    ),
  );
  if (nodes.includes(null)) return null;
  for (const node of nodes) node.id = await node.command('CLUSTER', 'MYID');
  await shareOutSlots(nodes.slice(0, masters));
  await introduce(nodes, tls?.ports);
  const followers = nodes.slice(masters);
  await Promise.all(
    followers.map((node, index) => node.command('CLUSTER', 'REPLICATE', nodes[index % masters].id)),
  );
  await until(async () => {
    const views = await Promise.all(nodes.map(viewOf));
    return views.every(({ replicas, isOk }) => isOk && replicas === followers.length);
  });
  const named = nodes.slice(0, masters).map(({ url }) => url);
  return {
    url: named.join(),
    nodes,
    async ownerOf(key) {
      const ranges = await Promise.any(nodes.map((node) => node.command('CLUSTER', 'SLOTS')));
      const slot = calculateSlot(key);
      const [, , [, port]] = ranges.find(([from, to]) => from <= slot && slot <= to);
      return nodes.find(({ url }) => new URL(url).port === `${port}`);
    },
    stop: async () => void (await Promise.all(nodes.map((node) => node.stop()))),
  };
}

const OPTIONS = Object.entries({
  'cluster-enabled': 'yes',
  'cluster-config-file': 'nodes.conf',
  'cluster-node-timeout': 2_000,
  'cluster-require-full-coverage': 'no',
  // A replica stays with its master, and may replace it however old its data is.
  'cluster-migration-barrier': 99,
  'cluster-replica-validity-factor': 0,
  'repl-diskless-sync-delay': 0,
}).flatMap(([name, value]) => [`--${name}`, `${value}`]);

const busPortOf = (port) => (port + BUS_OFFSET > HIGHEST_PORT ? port - BUS_OFFSET : port + BUS_OFFSET);
/** A server without this option (before 7.0) exits when its port is too high, and is started on another one. */
const busPortArgs = (port) =>
  port + BUS_OFFSET > HIGHEST_PORT ? ['--cluster-port', `${busPortOf(port)}`] : [];

async function shareOutSlots(masters) {
  const share = Math.ceil(SLOTS / masters.length);
  const slots = Array.from({ length: SLOTS }, (_, slot) => slot);
  for (const [index, master] of masters.entries()) {
    await master.command('CLUSTER', 'ADDSLOTS', ...slots.slice(index * share, (index + 1) * share));
    await master.command('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
  }
}

async function introduce(nodes, tlsPorts) {
  const [first, ...others] = nodes;
  const { hostname, port: plainPort } = new URL(first.url);
  const port = tlsPorts?.[0] ?? plainPort;
  const address = [
    hostname,
    port,
    ...(busPortArgs(Number(port)).length > 0 ? [busPortOf(Number(port))] : []),
  ];
  for (const other of others) await other.command('CLUSTER', 'MEET', ...address);
  await until(async () =>
    (await Promise.all(nodes.map(viewOf))).every(({ known }) => known === nodes.length),
  );
}

async function viewOf({ command }) {
  const lines = (await command('CLUSTER', 'NODES')).trim().split('\n');
  return {
    known: lines.filter((line) => !line.includes('handshake')).length,
    replicas: lines.filter((line) => line.includes('slave')).length,
    isOk:
      (await command('CLUSTER', 'INFO')).includes('cluster_state:ok') &&
      !(await command('INFO', 'replication')).includes('master_link_status:down'),
  };
}

/** With a connection of its own, so that each server answers for itself. */
function speaking(server) {
  let connection;
  const client = async () => {
    if (!(await connection?.catch(() => undefined))?.isReady) connection = connect(server.url);
    return connection;
  };
  const { stop } = server;
  return Object.assign(server, {
    command: async (...words) => (await client()).sendCommand(words.map(String)),
    stop: async () => {
      (await connection?.catch(() => undefined))?.destroy();
      await stop();
    },
  });
}

async function connect(url) {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    socket: { connectTimeout: 2_000, reconnectStrategy: false },
  });
  client.on('error', () => undefined);
  await client.connect();
  // A cluster's replica answers reads only after READONLY.
  await client.sendCommand(['READONLY']).catch(() => undefined);
  return client;
}

async function until(isSo) {
  for (const deadline = Date.now() + START_MS; !(await isSo()); await sleep(20)) {
    if (Date.now() > deadline) throw new Error('the cluster does not come together');
  }
}
