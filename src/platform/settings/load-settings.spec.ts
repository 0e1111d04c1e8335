import { describe, expect, it } from '@jest/globals';
import { loadSettings, SettingsError } from './load-settings.js';
import { relyingPartyOf } from './relying-party.js';
import { SETTINGS, variableOf, type SettingName } from './settings.js';
import type { Setting } from './setting.js';
import { PRODUCT } from '../../product.js';

const ALL = Object.entries(SETTINGS) as [SettingName, Setting<unknown>][];
const fallbackOf = ({ fallback }: Setting<unknown>, production: boolean) =>
  typeof fallback === 'function' ? fallback(production) : fallback;

/** The settings that production requires. */
const PRODUCTION = {
  NODE_ENV: 'production',
  DATABASE_URL: 'postgres://app:pw@db/app',
  REDIS_URL: 'rediss://cache',
  KEYS_FILE: '/run/secrets/keys.json',
};

function complaints(env: Record<string, string>): string[] {
  try {
    loadSettings(env);
  } catch (error) {
    if (error instanceof SettingsError) return error.lines;
    throw error;
  }
  return [];
}

describe('Settings of an empty environment', () => {
  it('The default settings are the documented ones', () => {
    const minutes = 60_000;
    const days = 24 * 60 * minutes;
    expect(loadSettings({})).toMatchObject({
      nodeEnv: 'development',
      port: 3_000,
      host: '127.0.0.1',
      dataDir: '.data',
      accessTokenTtl: 15 * minutes,
      sessionIdleTimeout: 30 * days,
      sessionLifetime: 90 * days,
      adminSessionIdleTimeout: 60 * minutes,
      adminSessionLifetime: 12 * 60 * minutes,
      refreshGrace: 10_000,
      sessionLimit: 10,
      sessionLimitPolicy: 'evict_oldest',
      cacheLease: 30_000,
      cacheBudget: 50,
      accessWhenBlind: 'allow',
      cookieSecure: true,
      trustedOrigins: [],
      trustedProxies: [],
      passwordMinLength: 15,
      logLevel: 'info',
    });
    expect(loadSettings({})).not.toHaveProperty('databaseUrl');
    expect(loadSettings({})).not.toHaveProperty('redisUrl');
  });

  it.each(ALL)('The default of %s is one of its allowed values', (_name, setting) => {
    for (const production of [false, true]) {
      const text = fallbackOf(setting, production);
      if (text !== undefined) expect(setting.parse.safeParse(text).success).toBe(true);
    }
  });

  it('An empty variable has the same effect as an unset one', () => {
    const empty = Object.fromEntries(ALL.map(([name]) => [variableOf(name), '']));
    expect(loadSettings(empty)).toEqual(loadSettings({}));
  });

  it('Loaded settings cannot be changed', () => {
    const settings = loadSettings({}) as { cookieSecure: boolean };
    expect(() => (settings.cookieSecure = false)).toThrow(TypeError);
  });
});

describe('Settings with a wrong value', () => {
  // No word, number or list contains spaces, and no path contains NUL.
  const BAD = 'no such value\0';

  it.each(ALL)(
    'A wrong value of %s is reported with the variable, the problem and the allowed values',
    (name, setting) => {
      const lines = complaints({ [variableOf(name)]: BAD });
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(new RegExp(`^${variableOf(name)} .*(is|has) `));
      expect(lines[0]!.endsWith(`; allowed: ${setting.allowed}`)).toBe(true);
      expect(lines[0]!.includes(BAD)).toBe(!setting.secret);
    },
  );

  it('All wrong values are reported at once', () => {
    const everything = Object.fromEntries(ALL.map(([name]) => [variableOf(name), BAD]));
    const named = complaints(everything).map((line) => line.split(' ')[0]);
    expect(named).toEqual(ALL.map(([name]) => variableOf(name)));
  });

  it.each([
    ['DATABASE_URL', 'mysql://app:hunter2@db/app'],
    ['DATABASE_URL', 'postgres//app:hunter2@db/app'],
    ['DATABASE_URL', 'postgres://app:hunter2@one:5432,two:5432/app'],
    ['REDIS_URL', 'http://:hunter2@cache'],
    ['REDIS_URL', 'hunter2'],
  ])('An error about a setting never shows a value that may be a secret: %s=%s', (variable, value) => {
    const [line] = complaints({ [variable]: value });
    expect(line).toContain(variable);
    expect(line).not.toContain('hunter2');
  });

  it.each([
    ['ACCESS_TOKEN_TTL', ['1s', '15m', '900s', '900000ms'], ['0s', '16m', '901s', '900001ms', '1h']],
    ['CACHE_LEASE', ['1s', '30s'], ['0s', '999ms', '31s', '5m']],
    ['CACHE_BUDGET', ['1ms', '1s'], ['0ms', '1001ms']],
    ['REFRESH_GRACE', ['0s', '60s', '1m'], ['61s']],
    ['SESSION_LIFETIME', ['400d', '1d'], ['401d', '0d', '999999999d']],
    [
      'SESSION_IDLE_TIMEOUT',
      ['1s'],
      [
        '',
        ' 1s',
        '1s ',
        '1 s',
        '-1s',
        '+1s',
        '1.5m',
        '1e3s',
        '0x1s',
        '1',
        's',
        '1S',
        '1w',
        '١s',
        'NaNs',
        'Infinitys',
      ].filter(Boolean),
    ],
    ['PORT', ['0', '65535'], ['65536', '-1', '3000.5', '0x10', '1e3', ' 80']],
    ['PASSWORD_MIN_LENGTH', ['8', '64'], ['7', '65']],
    ['SESSION_LIMIT', ['1', '1000'], ['0', '1001', '99999999999']],
    ['PASSWORD_HASH_QUEUE', ['1'], ['0']],
    ['COOKIE_SECURE', ['true', 'false'], ['1', '0', 'TRUE', 'yes', 'no', 'off']],
    [
      'COOKIE_PREFIX',
      ['shop', 'a', 'Shop-2_b', 'x'.repeat(32)],
      ['-', 'shop-', '_shop', '__Host-shop', 'a b', 'a=b', 'a;b', 'ä', 'x'.repeat(33)],
    ],
    ['RATE_LIMITS', ['on', 'off'], ['false', 'OFF', '0']],
    ['MAX_CONNECTIONS', ['1', '1000000'], ['0', '-1']],
    ['REQUEST_TIMEOUT', ['300ms', '5m'], ['0s', '299ms', '6m']],
    ['NODE_ENV', ['development', 'test'], ['Production', 'prod', 'staging']],
    ['ACCESS_WHEN_BLIND', ['allow', 'session', 'deny'], ['refuse', 'ALLOW']],
    [
      'TRUSTED_ORIGINS',
      [
        'https://app.example.com',
        'https://a.example,https://b.example:8443',
        'http://localhost:5173 , ',
        'capacitor://localhost,ionic://localhost,tauri://localhost,app://.,chrome-extension://abcdefgh',
        'http://tauri.localhost,https://[2001:db8::7]:8443',
      ],
      [
        'https://app.example.com/',
        'app.example.com',
        '*',
        'null',
        'https://*.example.com/',
        'https://*.example.com',
        'https://APP.example.com',
        'https://app.example.com:443',
        'https://[2001:db8:0::7]',
        'https://app.example.com,*',
        'capacitor://localhost/',
        'Capacitor://localhost',
        'capacitor://',
        'capacitor:localhost',
        'file://',
        'file:///app/index.html',
        'file://localhost',
      ],
    ],
    [
      'TRUSTED_PROXIES',
      ['10.0.0.0/8', '127.0.0.1,::1', 'fd00::/8', '10.0.0.1/32', '::/128'],
      [
        'true',
        '1',
        'loopback',
        '10.0.0.0/33',
        '::/129',
        '10.0.0.0/',
        '10.0.0.0/8/8',
        '0.0.0.0/0',
        '10.0.0.1,::/00',
        '10.0.0',
        '*',
        'example.com',
      ],
    ],
    [
      'PASSKEY_RP_ID',
      ['localhost'],
      [
        'https://localhost',
        'localhost:3000',
        'LOCALHOST',
        'com',
        '127.0.0.1',
        '[::1]',
        '.localhost',
        '-a.example.com',
      ],
    ],
    [
      'DATABASE_URL',
      ['postgres://db/app', 'postgresql://db/app', 'postgres://app:50%25@db/app'],
      ['http://db/app', 'db/app', 'postgres://app:50%@db/app'],
    ],
    [
      'REDIS_URL',
      ['redis://cache', 'redis://cache/', 'rediss://cache:6380/1', 'redis://a,redis://b/0'],
      ['unix:///tmp/redis.sock', 'redis://cache/sessions', 'redis://cache/1/2', 'redis://:50%@cache'],
    ],
  ] as [string, string[], string[]][])('%s accepts %j and refuses %j [OPS-01]', (variable, good, bad) => {
    for (const value of good)
      expect({ value, lines: complaints({ [variable]: value }) }).toEqual({ value, lines: [] });
    for (const value of bad) {
      const lines = complaints({ [variable]: value });
      expect({ value, lines }).toEqual({ value, lines: [expect.stringContaining(variable)] });
    }
  });
});

describe('The relying party of passkeys', () => {
  const APP_URL = 'https://app.example.com/account';

  it('The passkey domain is the host of APP_URL, in development localhost, and its pages are those of APP_URL', () => {
    const on = (env: Record<string, string>) => relyingPartyOf(loadSettings(env));
    expect(on({})).toEqual({ id: 'localhost', name: PRODUCT.name, origins: ['http://localhost:3000'] });
    expect(on({ TRUSTED_ORIGINS: 'capacitor://localhost' }).origins).toEqual(['http://localhost:3000']);
    expect(on({ PORT: '8080' }).origins).toEqual(['http://localhost:8080']);
    expect(on({ APP_URL, MAIL_FROM: 'no-reply@example.com' })).toEqual({
      id: 'app.example.com',
      name: 'app.example.com',
      origins: ['https://app.example.com'],
    });
  });

  it('The passkey domain may be a parent domain, and then only trusted origins below it have pages too', () => {
    const TRUSTED_ORIGINS =
      'https://example.com,https://shop.example.com,https://evilexample.com,https://example.com.evil.test';
    const env = { APP_URL, PASSKEY_RP_ID: 'example.com', TRUSTED_ORIGINS };
    expect(relyingPartyOf(loadSettings(env)).origins).toEqual([
      'https://app.example.com',
      'https://example.com',
      'https://shop.example.com',
    ]);
    expect(relyingPartyOf(loadSettings({ APP_URL, TRUSTED_ORIGINS })).origins).toEqual([
      'https://app.example.com',
    ]);
  });

  it.each(['other.com', 'pp.example.com', 'my.app.example.com', 'localhost'])(
    'PASSKEY_RP_ID=%s stops the boot, because no page of APP_URL could use it',
    (PASSKEY_RP_ID) => {
      expect(complaints({ APP_URL, PASSKEY_RP_ID })).toEqual([expect.stringMatching(/^PASSKEY_RP_ID is/)]);
    },
  );
});

describe('Settings in production', () => {
  it('Production starts with a database, a cache and keys, and enables nothing else by default [AUT-10, OPS-02]', () => {
    expect(loadSettings(PRODUCTION)).toMatchObject({
      host: '0.0.0.0',
      cookieSecure: true,
      seedUsers: false,
      apiDocs: false,
      migrateOnBoot: false,
    });
  });

  it.each(['DATABASE_URL', 'REDIS_URL', 'KEYS_FILE'] as const)(
    'Production refuses to start without %s [KEY-01, OPS-01]',
    (variable) => {
      const { [variable]: _, ...rest } = PRODUCTION;
      expect(complaints(rest)).toEqual([expect.stringMatching(new RegExp(`^${variable} is not set`))]);
      expect(complaints({ ...rest, [variable]: '' })).toHaveLength(1);
    },
  );

  it.each([
    ['COOKIE_SECURE', 'false'],
    ['SEED_USERS', 'true'],
    ['RATE_LIMITS', 'off'],
  ])('Production refuses %s=%s [AUT-10, COK-03, OPS-01]', (variable, value) => {
    expect(complaints({ ...PRODUCTION, [variable]: value })).toEqual([
      expect.stringMatching(new RegExp(`^${variable} .*refused in production`)),
    ]);
    expect(complaints({ ...PRODUCTION, NODE_ENV: 'development', [variable]: value })).toEqual([]);
  });

  it('Production reports everything that is missing at once', () => {
    expect(complaints({ NODE_ENV: 'production', COOKIE_SECURE: 'false', SEED_USERS: 'true' })).toHaveLength(
      5,
    );
  });

  it.each([
    ['redis://cache', 'REDIS_URL must begin with rediss:'],
    ['redis://10.0.0.9,redis://10.0.0.10', 'REDIS_URL must begin with rediss:'],
    ['redis://localhost', null],
    ['redis://127.0.0.1:7000', null],
    ['redis://[::1]', null],
    ['rediss://cache', null],
  ])('Production connects to a Redis on another machine only by TLS: %s [OPS-04]', (url, complaint) => {
    const given = { ...PRODUCTION, REDIS_URL: url };
    expect(complaints(given)).toEqual(complaint ? [expect.stringContaining(complaint)] : []);
    expect(complaints({ ...given, STORE_TLS: 'off' })).toEqual([]);
    const always = complaints({ ...given, STORE_TLS: 'always' });
    expect(always).toHaveLength(url.startsWith('rediss:') ? 0 : 1);
  });

  it.each([
    'postgres://app:pw@one,two/app',
    'postgres://one:5432,two:5432/app',
    'postgres://app:pw@/app?host=one,two',
    'postgres://app:pw@one/app?host=one%2Ctwo',
  ])('The boot refuses a DATABASE_URL with several servers: %s', (url) => {
    expect(complaints({ DATABASE_URL: url })).toEqual([
      expect.stringMatching(/^DATABASE_URL names several servers; name one/),
    ]);
  });

  it('The boot accepts a DATABASE_URL with a comma in its password', () => {
    expect(complaints({ DATABASE_URL: 'postgres://app:p,w@one/app' })).toEqual([]);
  });

  it.each(['disable', 'prefer', 'require', 'no-verify', 'verify-ca'])(
    'Production refuses an sslmode that verifies less: %s [OPS-04]',
    (mode) => {
      const at = (url: string, more = {}) => complaints({ ...PRODUCTION, DATABASE_URL: url, ...more });
      const refused = [expect.stringMatching(/^DATABASE_URL has an sslmode/)];
      expect(at(`postgres://db/app?sslmode=${mode}`)).toEqual(refused);
      expect(at(`postgres://localhost/app?host=db&sslmode=${mode}`)).toEqual(refused);
      expect(at(`postgres://localhost/app?sslmode=${mode}`)).toEqual([]);
      expect(at(`postgres://db/app?sslmode=${mode}`, { STORE_TLS: 'off' })).toEqual([]);
      expect(at('postgres://db/app?sslmode=verify-full')).toEqual([]);
    },
  );
});
