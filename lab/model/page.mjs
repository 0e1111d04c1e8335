import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { simulate } from './feed-simulation.mjs';
import { LATENCIES, MEASURED } from './measured.mjs';
import { ACTIVITY, cellsOf, limitsInOrder, loadOf, SETTINGS } from './model.mjs';
import { bytes, duration, short, table, whole } from './tables.mjs';

export const PAGE = resolve(import.meta.dirname, '../../docs/evidence/scale.md');
const STAGES = [1e5, 1e6, 1e7, 1e8, 1e9];
const PER_CELL = 25e6;
const SEED = 20_261_121;
const PROMISE = 50;

/** The tables of docs/evidence/scale.md, between `<!-- scale:NAME -->` and `<!-- /scale -->`. */
export const BLOCKS = {
  instance: (activity) =>
    table([
      ['your own CPU per request', 'requests/s', 'live sessions', 'session checks/s', 'refreshes/s'],
      ...[0, 1_000, 5_000].map((ownWork) => {
        const sessions = 0.5e8 / loadOf(1e8, { ...activity, ownWork }).cores;
        const { requests, checks, refreshes } = loadOf(sessions, { ...activity, ownWork });
        return [`${ownWork / 1_000} ms`, short(requests), short(sessions), short(checks), short(refreshes)];
      }),
    ]),

  traffic: (activity) =>
    table([
      [
        'sessions',
        'requests/s',
        'refreshes/s',
        'logins/s',
        'revocations/s',
        'cores for Drawbridge',
        'cores with 1 ms of your code',
        'instances',
      ],
      ...STAGES.map((sessions) => {
        const load = loadOf(sessions, activity);
        const { requests, refreshes, logins, revocations, ours, cores, instances } = load;
        return [
          short(sessions),
          ...[requests, refreshes, logins, revocations, ours, cores].map(short),
          whole(instances),
        ];
      }),
    ]),

  postgres: (activity) =>
    table([
      ['sessions', 'reads/s', 'rows written/s', 'WAL', 'IOPS', 'tables', 'connections'],
      ...STAGES.map((sessions) => {
        const load = loadOf(sessions, activity);
        return [
          ...[sessions, load.reads, load.writes].map(short),
          `${bytes(load.wal)}/s`,
          short(load.iops),
          bytes(load.storage),
          whole(load.connections),
        ];
      }),
    ]),

  work: (activity) =>
    table([
      ['sessions', 'requests', 'feed', 'housekeeping', 'audit hash chain', 'idle polls', 'total cores'],
      ...STAGES.map((sessions) => {
        const load = loadOf(sessions, activity);
        const { actsCpu, feedCpu, housekeepingCpu, sealCpu, idleCpu, databaseCpu } = load;
        return [sessions, actsCpu, feedCpu, housekeepingCpu, sealCpu, idleCpu, databaseCpu].map(short);
      }),
    ]),

  redis: (activity) =>
    table([
      [
        'sessions',
        'Redis memory',
        'commands/s',
        'Redis cores',
        'feed entries/s',
        'bytes/s per instance',
        'denial list',
        'boot',
      ],
      ...STAGES.map((sessions) => {
        const load = loadOf(sessions, activity);
        return [
          short(sessions),
          bytes(load.redisBytes),
          short(load.commands),
          short(load.redisCpu),
          short(load.revocations),
          bytes(load.feedBytesPerInstance),
          bytes(load.denialBytes),
          duration(load.bootSeconds),
        ];
      }),
    ]),

  limits: (activity) =>
    table([
      ['live sessions', 'saturated resource', 'at', 'remedy', 'available today'],
      ...limitsInOrder(activity).map(({ sessions, what, limit, unit, remedy, today }) => [
        short(sessions),
        what,
        unit.startsWith('of ') && unit !== 'of the time' && unit !== 'of a core'
          ? `all ${limit}`
          : `${limit} ${unit}`,
        remedy,
        today ? 'yes' : 'to build',
      ]),
    ]),

  everyone: () =>
    table([
      [
        'live sessions',
        'refused by PostgreSQL and the access tier',
        'refused by the session cache',
        'records swept',
        'counting for a receipt',
      ],
      ...STAGES.map((sessions) => {
        const { sweepSeconds, countSeconds } = loadOf(sessions);
        return [
          short(sessions),
          'at the commit (plus feed latency)',
          '≤ 30 s',
          duration(sweepSeconds),
          duration(countSeconds),
        ];
      }),
    ]),

  cells: (activity) =>
    table([
      [
        'sessions',
        'cells',
        'instances each',
        'PostgreSQL cores',
        'tables',
        'WAL',
        'IOPS',
        'Redis',
        'connections',
        'feed p99',
      ],
      ...[1e7, 1e8, 1e9].map((sessions) => {
        const { cells, each } = cellsOf(sessions, PER_CELL, activity);
        const { p99 } = simulate(steady(each.instances, each.revocations));
        return [
          short(sessions),
          whole(cells),
          whole(each.instances),
          short(each.databaseCpu / SETTINGS.utilisation),
          bytes(each.storage),
          `${bytes(each.wal)}/s`,
          short(each.iops),
          bytes(each.redisBytes),
          whole(each.connections),
          `${p99.toFixed(0)} ms`,
        ];
      }),
    ]),

  feed: () => {
    const rates = [1, 10, 100, 1_000];
    return table([
      ['instances', ...rates.map((rate) => `${whole(rate)}/s`)],
      ...[2, 10, 50, 200, 1_000, 5_000].map((instances) => [
        whole(instances),
        ...rates.map((rate) => {
          const { p50, p99, databaseCores } = simulate(steady(instances, rate));
          const cell = `${ms(p50)} · ${ms(p99)} · ${short(databaseCores)}`;
          return p99 > PROMISE ? `**${cell}**` : cell;
        }),
      ]),
    ]);
  },

  faults: () => {
    const hundred = { instances: 100, rate: 10, seconds: 12, seed: SEED };
    return faultTable({
      'no fault': hundred,
      '1 % of notifications are lost': { ...hundred, lost: 0.01 },
      '10 % of notifications are lost': { ...hundred, lost: 0.1 },
      'no notification arrives (PgBouncer in transaction mode, or no LISTEN)': { ...hundred, path: 'poll' },
      'half of the instances lose PostgreSQL for 4 s': {
        ...hundred,
        cut: { share: 0.5, from: 2_000, to: 6_000 },
      },
      'half of the instances lose PostgreSQL for 9 s': {
        ...hundred,
        cut: { share: 0.5, from: 2_000, to: 11_000 },
      },
      'a burst: 2,000 revocations at 10,000 per second': { ...hundred, rate: 10_000, seconds: 0.2 },
      'feed relay: 1 % of messages are lost': { ...hundred, path: 'relay', lost: 0.01 },
      'feed relay: it loses PostgreSQL for 9 s': {
        ...hundred,
        path: 'relay',
        cut: { share: 1, from: 2_000, to: 11_000 },
      },
      'global logout: 1,000 instances': { instances: 1_000, rate: 1e-6, seed: SEED },
      'global logout: 5,000 instances': { instances: 5_000, rate: 1e-6, seed: SEED },
      'global logout: 5,000 instances behind feed relays': {
        instances: 5_000,
        rate: 1e-6,
        path: 'relay',
        seed: SEED,
      },
    });
  },

  regions: () =>
    table([
      [
        'instances',
        'regions',
        'each follows PostgreSQL',
        'PostgreSQL cores',
        'a feed relay per region',
        'PostgreSQL cores',
      ],
      ...[
        [100, 1],
        [100, 3],
        [1_000, 3],
        [1_000, 5],
        [5_000, 5],
      ].map(([instances, regions]) => {
        const plan = { ...steady(instances, 10), regions };
        const [direct, relayed] = [simulate(plan), simulate({ ...plan, path: 'relay' })];
        return [
          whole(instances),
          regions,
          threeOf(direct),
          short(direct.databaseCores),
          threeOf(relayed),
          short(relayed.databaseCores),
        ];
      }),
    ]),

  turns: () => {
    const rates = [1, 10, 100, 1_000];
    return table([
      ['a commit takes', ...rates.map((rate) => `${whole(rate)}/s`)],
      ...[1, 5, 70].map((commitMs) => [
        `${commitMs} ms`,
        ...rates.map((rate) => {
          if (rate * commitMs >= 1_000) return '**unbounded**';
          const seconds = Math.min(400, 4_000 / rate);
          return ms(simulate({ instances: 1, rate, seconds, commitMs, seed: SEED }).turnP99);
        }),
      ]),
    ]);
  },

  calibration: () =>
    table([
      ['followers', 'measured', 'simulated'],
      ...LATENCIES.map(({ what, instances, cores, ...measured }) => {
        const [rate, seconds] = instances === 2 ? [5, 200] : [10, 20];
        const plan = { instances, cores, rate, seconds, away: 0.05, seed: SEED };
        return [what, threeOf(measured), threeOf(simulate(plan))];
      }),
    ]),

  measured: () =>
    table([
      ['constant', 'value', 'source'],
      ...Object.entries(MEASURED).map(([name, { value, unit, where }]) => [
        `\`${name}\``,
        `${value.toLocaleString('en-US', { maximumSignificantDigits: 4 })} ${unit}`.trim(),
        where,
      ]),
    ]),

  activity: () =>
    table([
      ['flag', 'assumed'],
      ...Object.entries(ACTIVITY).map(([name, value]) => [
        `\`${flagOf(name)}\``,
        value.toLocaleString('en-US'),
      ]),
    ]),
};

/** Blocks that depend on the activity. */
export const OF_ACTIVITY = ['instance', 'traffic', 'postgres', 'work', 'redis', 'limits', 'cells'];

/** `activeInPeakHour` → `--active-in-peak-hour` */
export function flagOf(name) {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

const BLOCK = /(<!-- scale:(\w+) -->\n)[\s\S]*?(<!-- \/scale -->)/g;

/** Replaces all tables of the page. */
export function renew(page) {
  return page.replace(BLOCK, (_, begin, name, end) => `${begin}\n${BLOCKS[name]()}\n\n${end}`);
}

export const readPage = () => readFileSync(PAGE, 'utf8');
export const writePage = (page) => writeFileSync(PAGE, page);

/** About forty revocations, in half a second to 15 s. */
function steady(instances, rate) {
  return { instances, rate, seconds: Math.min(15, Math.max(0.5, 40 / rate)), seed: SEED };
}

function faultTable(plans) {
  return table([
    ['scenario', 'p50', 'p99', 'max', 'later than 5 s', 'late while it claimed to be current'],
    ...Object.entries(plans).map(([name, plan]) => {
      const { p50, p99, max, late, lies, wanted } = simulate(plan);
      const share = (count) => (count === 0 ? '0' : `${((100 * count) / wanted).toFixed(1)} %`);
      return [name, ms(p50), ms(p99), ms(max), share(late), share(lies)];
    }),
  ]);
}

const threeOf = ({ p50, p99, max }) => `${ms(p50)} · ${ms(p99)} · ${ms(max)}`;

/** Milliseconds, with two or three significant digits. */
function ms(value) {
  return value < 10 ? value.toFixed(1) : whole(Number(value.toPrecision(value < 1_000 ? 2 : 3)));
}
