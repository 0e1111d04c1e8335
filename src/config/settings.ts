import { isIP, isIPv4 } from 'node:net';
import { webOriginOf } from '../common/web-origin.js';
import {
  address,
  baseUrl,
  choice,
  domain,
  duration,
  flag,
  header,
  heloName,
  integer,
  list,
  path,
  secret,
  url,
  urls,
  word,
  type Setting,
} from './setting.js';

/** Key rotation and other parts rely on these upper bounds. */
export const LONGEST_ACCESS_TOKEN = '15m';
export const LONGEST_SESSION = '400d';

/** From lenient to strict. */
const RESPONSES = ['off', 'notify', 'reauthenticate', 'end'] as const;

/**
 * All settings, in the order of the documentation. `npm run docs:settings` generates `.env.example` and the README's
 * table from them.
 */
export const SETTINGS = {
  nodeEnv: choice(
    'What this process is for. `production` refuses defaults that are only safe on a desk.',
    ['development', 'test', 'production'],
    { fallback: 'development' },
  ),
  port: integer('The port to listen on; 0 takes any free one.', { min: 0, max: 65_535, fallback: '3000' }),
  host: word('The address to listen on.', {
    fallback: (production) => (production ? '0.0.0.0' : '127.0.0.1'),
    fallbackDoc: '`127.0.0.1`, in production `0.0.0.0`',
  }),
  databaseUrl: url('PostgreSQL 14 or newer. Required in production.', ['postgres:', 'postgresql:'], {
    fallbackDoc: 'an embedded PostgreSQL under `DATA_DIR`',
    secret: true,
  }),
  databaseAppRole: word(
    'The role of the instances, to which `npm run db:migrate` grants what they need and no more. Instances do not read it.',
    { fallbackDoc: 'none: nothing is granted' },
  ),
  databasePoolSize: integer(
    'Connections that one instance opens for business transactions. Session checks, revocations and the revocation feed have six of their own.',
    { min: 2, max: 500, fallback: '10' },
  ),
  dataDir: path('Where development keeps its database and keys.', { fallback: '.data' }),
  redisUrl: urls(
    'Redis 6.2 or newer, the cache of session verdicts that instances share: one server, or several nodes of a Redis Cluster, all reached with the credentials of the first. Required in production.',
    ['redis:', 'rediss:'],
    {
      fallbackDoc: 'an in-process cache, for one instance only',
      secret: true,
    },
  ),
  storeTls: choice(
    'Whether PostgreSQL and Redis are reached by TLS, with certificates that are verified: those on other machines, always, or as their URLs say.',
    ['remote', 'always', 'off'],
    {
      fallback: (production) => (production ? 'remote' : 'off'),
      fallbackDoc: '`off`, in production `remote`',
    },
  ),
  storeCaFile: path('The authorities whose certificates PostgreSQL and Redis have, in PEM.', {
    fallbackDoc: 'those that Node.js knows',
  }),
  keysFile: path(
    'The file with the signing keys, refresh secrets and encryption keys, made by `npm run keys:generate`, changed by `npm run keys:rotate`, and followed while serving. Required in production.',
    {
      fallbackDoc: '`keys.json` under `DATA_DIR`, generated',
    },
  ),
  tokenIssuer: word('The `iss` of access tokens.', { fallback: 'drawbridge' }),
  tokenAudience: word('The `aud` of access tokens.', { fallback: 'drawbridge' }),
  accessTokenTtl: duration('How long an access token is good for.', {
    min: '1s',
    max: LONGEST_ACCESS_TOKEN,
    fallback: '15m',
  }),
  sessionIdleTimeout: duration('A session ends when it has not been used for so long.', {
    min: '1s',
    max: LONGEST_SESSION,
    fallback: '30d',
  }),
  sessionLifetime: duration('A session ends so long after its login, however much it is used.', {
    min: '1s',
    max: LONGEST_SESSION,
    fallback: '90d',
  }),
  adminSessionIdleTimeout: duration('`SESSION_IDLE_TIMEOUT` of people with the role admin.', {
    min: '1s',
    max: LONGEST_SESSION,
    fallback: '1h',
  }),
  adminSessionLifetime: duration('`SESSION_LIFETIME` of people with the role admin.', {
    min: '1s',
    max: LONGEST_SESSION,
    fallback: '12h',
  }),
  lastSeenResolution: duration('How exactly a session knows when it was last used.', {
    min: '1s',
    max: '1h',
    fallback: '60s',
  }),
  refreshGrace: duration(
    'For so long after a refresh, its predecessor with the device token gets the same answer again.',
    { min: '0s', max: '60s', fallback: '10s' },
  ),
  sessionLimit: integer('Live sessions per user.', { min: 1, max: 1_000, fallback: '10' }),
  sessionLimitPolicy: choice(
    'What a login over the limit does: end the oldest session, end the one unused for longest, or be refused.',
    ['evict_oldest', 'evict_idle', 'deny'],
    { fallback: 'evict_oldest' },
  ),
  sessionRetention: duration(
    'For so long ended sessions and revocations can still be looked at; then their records are removed.',
    {
      min: '1h',
      max: '3650d',
      fallback: '30d',
    },
  ),
  cacheLease: duration('How long a cached verdict on a session may be believed.', {
    min: '1s',
    max: '30s',
    fallback: '30s',
  }),
  cacheBudget: duration('How long a session check waits for the cache before it asks PostgreSQL.', {
    min: '1ms',
    max: '1s',
    fallback: '50ms',
  }),
  metricsToken: secret(
    'Who shows it as a bearer token may read `/metrics`. In production nobody may as long as it is not set.',
    { fallbackDoc: 'none; in development `/metrics` is open' },
  ),
  accessWhenBlind: choice(
    'What routes of the access tier do on an instance that has not heard from the revocation feed for 5 s: believe the token, check the session, or refuse with 503.',
    ['allow', 'session', 'deny'],
    { fallback: 'allow' },
  ),
  cookieSecure: flag(
    '`false` drops `Secure` and the `__Host-` prefix of cookies; refused in production. Needed in development where pages are opened over plain HTTP by a name other than localhost, such as `http://mybox.lan:3000`, and in Safari on `http://localhost` too: browsers drop `Secure` cookies there.',
    { fallback: 'true' },
  ),
  trustedOrigins: list(
    'Origins of pages and web views that may call this service from elsewhere: they may read its answers (CORS), and may log in, register and refresh with the `bearer` transport. By cookie only the own origin may act, unless the browser sends no `Sec-Fetch-Site`.',
    'origins as browsers send them, such as `https://app.example.com` or `capacitor://localhost`, without a slash at the end and without `*`',
    isOrigin,
  ),
  trustedProxies: list(
    'Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.',
    'addresses or networks such as `10.0.0.0/8`, none of them `/0`',
    isNetwork,
  ),
  refusePlainHttp: flag(
    'Refuse requests that reached a proxy of `TRUSTED_PROXIES` over plain HTTP, as its `X-Forwarded-Proto` says. `false` where a sidecar of a service mesh writes `http` for a hop of its own. Health, metrics and public keys answer in any case.',
    {
      fallback: (production) => String(production),
      fallbackDoc: '`false`, in production `true`',
    },
  ),
  countryHeader: header(
    "The header in which a proxy of `TRUSTED_PROXIES` says which country a request comes from, such as `CF-IPCountry`. The proxy has to set it itself on every request: what it only passes on is the client's word.",
    { fallbackDoc: 'none' },
  ),
  geoipDatabase: path(
    "A database of countries or cities in MaxMind's format (`.mmdb`), asked where `COUNTRY_HEADER` says nothing. A newer file in its place is taken up.",
    { fallbackDoc: 'none' },
  ),
  suspicionNewDevice: choice('What a login from a device that was not used before does.', ['off', 'notify'], {
    fallback: 'notify',
  }),
  suspicionCountry: choice(
    'What a session does that is used from another country than it began in: nothing, tell the person by mail, let it in only after the person has authenticated again, or end.',
    RESPONSES,
    { fallback: 'reauthenticate' },
  ),
  adminSuspicionCountry: choice('`SUSPICION_COUNTRY` of people with the role admin.', RESPONSES, {
    fallback: 'end',
  }),
  suspicionTravel: choice(
    'The same for one that is used 500 km or more away, faster than 900 km/h; a database of cities knows.',
    RESPONSES,
    { fallback: 'notify' },
  ),
  suspicionBrowser: choice('The same for one that is used by another browser than it began in.', RESPONSES, {
    fallback: 'notify',
  }),
  rateLimits: choice(
    '`off` counts nothing and turns nobody away, for load tests; refused in production.',
    ['on', 'off'],
    { fallback: 'on' },
  ),
  maxConnections: integer('Connections that one instance holds; further ones are closed at once.', {
    min: 1,
    max: 1_000_000,
    fallback: '10000',
  }),
  requestTimeout: duration(
    'A client has so long to send a request, and a third of it for the headers; then its connection is closed.',
    { min: '300ms', max: '5m', fallback: '30s' },
  ),
  shutdownDelay: duration(
    'After SIGTERM the instance is not ready and serves for this long, so that load balancers notice; then it refuses requests, finishes those that have begun and ends. Longer than two health checks of the load balancer.',
    {
      min: '0s',
      max: '5m',
      fallback: (production) => (production ? '5s' : '0s'),
      fallbackDoc: '`0s`, in production `5s`',
    },
  ),
  passwordMinLength: integer('The least characters in a new password.', { min: 8, max: 64, fallback: '15' }),
  passwordHashQueue: integer(
    'Logins that may wait for the password hasher; further ones are told to come back.',
    { min: 1, max: 10_000, fallback: '100' },
  ),
  breachedPasswordsUrl: url(
    'Where a range service for breached passwords answers, such as `https://api.pwnedpasswords.com/range/`: it is told the first five hex digits of the SHA-1 of a new password, no more.',
    ['https:', 'http:'],
    { fallbackDoc: 'none: nobody is asked' },
  ),
  breachedPasswordsPatience: duration('How long that service is waited for.', {
    min: '10ms',
    max: '10s',
    fallback: '2s',
  }),
  breachedPasswordsWhenDown: choice(
    'What becomes of a new password when that service does not answer in time.',
    ['allow', 'refuse'],
    { fallback: 'allow' },
  ),
  emailVerification: choice(
    'Whether a login wants an address whose owner has followed the link in a mail to it.',
    ['off', 'required'],
    {
      fallback: (production) => (production ? 'required' : 'off'),
      fallbackDoc: '`off`, in production `required`',
    },
  ),
  adminMfa: choice(
    'Whether admins have to prove a second factor. `required`: who has not may enrol one, and nothing else that a session is checked for.',
    ['off', 'required'],
    {
      fallback: (production) => (production ? 'required' : 'off'),
      fallbackDoc: '`off`, in production `required`',
    },
  ),
  appUrl: baseUrl('Where people meet the application: links in mails begin with it. `https` in production.', {
    fallbackDoc: '`http://localhost:PORT`',
  }),
  passkeyRpId: domain(
    'The domain that passkeys are made for: the host of `APP_URL`, or one that it is part of, such as `example.com` for `https://app.example.com`. A passkey works for its domain alone: with another one all of them are useless.',
    { fallbackDoc: 'the host of `APP_URL`' },
  ),
  smtpUrl: url('The server that mails leave through.', ['smtp:', 'smtps:'], {
    fallbackDoc: 'none: mails are kept as files under `DATA_DIR`, and in development printed',
    secret: true,
  }),
  smtpTls: choice(
    'Whether that server must offer TLS, with a certificate that is verified: every server that is not this machine, always, or not at all. With `off` passwords and the links in mails can travel in the clear.',
    ['remote', 'always', 'off'],
    { fallback: 'remote' },
  ),
  smtpCaFile: path('The authorities whose certificate that server has, in PEM.', {
    fallbackDoc: 'those that Node.js knows',
  }),
  smtpHeloName: heloName('The name that the instance gives to that server (HELO).', {
    fallbackDoc: 'the name of the machine',
  }),
  mailFrom: address('The sender of mails; its domain is also that of `Message-ID`.', {
    fallback: 'Drawbridge <no-reply@localhost>',
  }),
  migrateOnBoot: flag('Apply migrations before listening. In production run `npm run db:migrate` instead.', {
    fallback: (production) => String(!production),
    fallbackDoc: '`true`, in production `false`',
  }),
  seedUsers: flag('Create the demo users; refused in production.', {
    fallback: (production) => String(!production),
    fallbackDoc: '`true`, in production `false`',
  }),
  apiDocs: flag('Serve `/openapi.json` and `/docs`.', {
    fallback: (production) => String(!production),
    fallbackDoc: '`true`, in production `false`',
  }),
  logLevel: choice(
    'The least severe log lines to print.',
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    { fallback: 'info' },
  ),
} satisfies Record<string, Setting<unknown>>;

export type Settings = {
  readonly [Name in keyof typeof SETTINGS]: (typeof SETTINGS)[Name] extends Setting<infer T> ? T : never;
};

export type SettingName = keyof Settings;

/** `accessTokenTtl` → `ACCESS_TOKEN_TTL` */
export function variableOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/** The effective settings by variable. A setting that may be a secret is only reported as set. */
export function settingsForLog(settings: Settings): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(SETTINGS as Record<string, Setting<unknown>>)
      .map(([name, { secret }]) => ({ name, secret, value: settings[name as SettingName] }))
      .filter(({ value }) => value !== undefined)
      .map(({ name, secret, value }) => [variableOf(name), secret ? '(set)' : value]),
  );
}

function isOrigin(item: string): boolean {
  return webOriginOf(item) === item && !item.includes('*');
}

function isNetwork(item: string): boolean {
  const [address = '', prefix, ...rest] = item.split('/');
  if (rest.length > 0 || isIP(address) === 0) return false;
  if (prefix === undefined) return true;
  // A range of all addresses is refused: Fastify throws at `/0`.
  return /^\d{1,3}$/.test(prefix) && Number(prefix) >= 1 && Number(prefix) <= (isIPv4(address) ? 32 : 128);
}
