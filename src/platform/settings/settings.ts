import { isIP, isIPv4 } from 'node:net';
import { webOriginOf } from '../http/web-origin.js';
import {
  address,
  baseUrl,
  choice,
  cookiePrefix,
  domain,
  duration,
  flag,
  header,
  heloName,
  integer,
  languageTag,
  list,
  path,
  secret,
  share,
  url,
  urls,
  word,
  type Setting,
} from './setting.js';
import { PRODUCT } from '../../product.js';

/** Key rotation and other parts rely on these upper bounds. */
export const MAX_ACCESS_TOKEN_LIFETIME = '15m';
export const MAX_SESSION_LIFETIME = '400d';

/** From lenient to strict. */
const RESPONSES = ['off', 'notify', 'reauthenticate', 'end'] as const;

/**
 * All settings, in the order of the documentation. `npm run docs:settings` generates `.env.example` and the README's
 * table from them.
 */
export const SETTINGS = {
  nodeEnv: choice(
    'The environment of this process. `production` refuses defaults that are only safe in development.',
    ['development', 'test', 'production'],
    { fallback: 'development' },
  ),
  port: integer('The port to listen on; 0 selects any free port.', { min: 0, max: 65_535, fallback: '3000' }),
  host: word('The address to listen on.', {
    fallback: (production) => (production ? '0.0.0.0' : '127.0.0.1'),
    fallbackDoc: '`127.0.0.1`, in production `0.0.0.0`',
  }),
  databaseUrl: url('PostgreSQL 14 or newer. Required in production.', ['postgres:', 'postgresql:'], {
    fallbackDoc: 'an embedded PostgreSQL under `DATA_DIR`',
    secret: true,
  }),
  databaseAppRole: word(
    'The database role of the instances. `npm run db:migrate` grants it only the privileges that instances need. Instances do not read this setting.',
    { fallbackDoc: 'none: nothing is granted' },
  ),
  databasePoolSize: integer(
    'The connections that one instance opens for business transactions. Session checks, revocations and the revocation feed use six more.',
    { min: 2, max: 500, fallback: '10' },
  ),
  dataDir: path('The folder for the database and the keys in development.', { fallback: '.data' }),
  redisUrl: urls(
    'Redis 6.2 or newer, for the session cache that instances share. Name one server, or several nodes of a Redis Cluster; all nodes use the credentials of the first. Required in production.',
    ['redis:', 'rediss:'],
    {
      fallbackDoc: 'an in-process cache, for one instance only',
      secret: true,
    },
  ),
  storeTls: choice(
    'Whether connections to PostgreSQL and Redis use TLS with verified certificates. `remote`: connections to other machines; `always`: every connection; `off`: as the URLs say.',
    ['remote', 'always', 'off'],
    {
      fallback: (production) => (production ? 'remote' : 'off'),
      fallbackDoc: '`off`, in production `remote`',
    },
  ),
  storeCaFile: path('The file with the certificate authorities of PostgreSQL and Redis, in PEM.', {
    fallbackDoc: 'the authorities that Node.js trusts',
  }),
  keysFile: path(
    'The file with the signing keys, refresh secrets and encryption keys. `npm run keys:generate` creates it and `npm run keys:rotate` changes it. A running instance reads changes of the file. Required in production.',
    {
      fallbackDoc: '`keys.json` under `DATA_DIR`, generated',
    },
  ),
  tokenIssuer: word('The `iss` claim of access tokens.', { fallback: PRODUCT.slug }),
  tokenAudience: word('The `aud` claim of access tokens.', { fallback: PRODUCT.slug }),
  accessTokenTtl: duration('The lifetime of an access token.', {
    min: '1s',
    max: MAX_ACCESS_TOKEN_LIFETIME,
    fallback: '15m',
  }),
  sessionIdleTimeout: duration('A session ends when it was not used for this long.', {
    min: '1s',
    max: MAX_SESSION_LIFETIME,
    fallback: '30d',
  }),
  sessionLifetime: duration('A session ends this long after the login, even if it is in use.', {
    min: '1s',
    max: MAX_SESSION_LIFETIME,
    fallback: '90d',
  }),
  adminSessionIdleTimeout: duration(
    '`SESSION_IDLE_TIMEOUT` for users with a privileged role, such as admin.',
    {
      min: '1s',
      max: MAX_SESSION_LIFETIME,
      fallback: '1h',
    },
  ),
  adminSessionLifetime: duration('`SESSION_LIFETIME` for users with a privileged role, such as admin.', {
    min: '1s',
    max: MAX_SESSION_LIFETIME,
    fallback: '12h',
  }),
  lastSeenResolution: duration('The resolution of the time at which a session was last used.', {
    min: '1s',
    max: '1h',
    fallback: '60s',
  }),
  refreshGrace: duration(
    'For this long after a refresh, a client that sends the previous refresh token with its device token gets the same answer again.',
    { min: '0s', max: '60s', fallback: '10s' },
  ),
  sessionLimit: integer('The maximum number of live sessions per user.', {
    min: 1,
    max: 1_000,
    fallback: '10',
  }),
  sessionLimitPolicy: choice(
    'The effect of a login over the limit. `evict_oldest`: the oldest session ends; `evict_idle`: the session that was unused for longest ends; `deny`: the login is refused.',
    ['evict_oldest', 'evict_idle', 'deny'],
    { fallback: 'evict_oldest' },
  ),
  sessionRetention: duration('The records of ended sessions and revocations are kept for this long.', {
    min: '1h',
    max: '3650d',
    fallback: '30d',
  }),
  cacheLease: duration('How long a cached session may be used without asking PostgreSQL again.', {
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
    'The bearer token for `/metrics`. If it is not set, `/metrics` is open in development and disabled in production.',
    { fallbackDoc: 'none' },
  ),
  otelExporterOtlpEndpoint: baseUrl(
    'The OpenTelemetry collector (OTLP over HTTP, JSON) that gets traces. Without it there are no traces.',
    { fallbackDoc: 'none' },
  ),
  otelTracesSamplerArg: share(
    'The share of traces that are recorded, if the request does not belong to a trace of its client.',
    { fallback: '1' },
  ),
  accessWhenBlind: choice(
    'The behaviour of access-tier routes on an instance that has not received the revocation feed for 5 s. `allow`: accept the token; `session`: check the session; `deny`: refuse with 503.',
    ['allow', 'session', 'deny'],
    { fallback: 'allow' },
  ),
  cookieSecure: flag(
    '`false` omits `Secure` and the `__Host-` prefix of cookies; refused in production. In development it is needed when pages are opened over plain HTTP by a name other than localhost, such as `http://mybox.lan:3000`. Safari needs it for `http://localhost` too. Browsers drop `Secure` cookies there.',
    { fallback: 'true' },
  ),
  cookiePrefix: cookiePrefix(
    'A prefix for the names of cookies: `shop` makes `__Host-shop-access`. Two products on one host need different prefixes, because a browser sends its cookies to every port of a host. A change logs out all sessions with the `cookie` transport.',
    { fallbackDoc: 'none: `__Host-access`' },
  ),
  trustedOrigins: list(
    'Other origins whose pages and web views may call this service. They may read its answers (CORS), and may log in, register and refresh with the `bearer` transport. Only the own origin may act by cookie, unless the browser sends no `Sec-Fetch-Site`.',
    'origins as browsers send them, such as `https://app.example.com` or `capacitor://localhost`, without a trailing slash and without `*`',
    isOrigin,
  ),
  trustedProxies: list(
    'The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` headers are trusted.',
    'IP addresses or networks such as `10.0.0.0/8`, but not `/0`',
    isNetwork,
  ),
  refusePlainHttp: flag(
    'Refuse requests that reached a proxy of `TRUSTED_PROXIES` over plain HTTP, according to its `X-Forwarded-Proto`. Set `false` if a sidecar of a service mesh writes `http` for its own hop. Health, metrics and public keys always answer.',
    {
      fallback: (production) => String(production),
      fallbackDoc: '`false`, in production `true`',
    },
  ),
  requestIdFromProxy: flag(
    'Take the id of a request from the header `X-Request-Id` of a proxy of `TRUSTED_PROXIES`, if it is a UUID. The proxy must set it on every request: a client can choose the id if the proxy only passes it on.',
    { fallback: 'false' },
  ),
  countryHeader: header(
    'The header in which a proxy of `TRUSTED_PROXIES` sends the country of a request, such as `CF-IPCountry`. The proxy must set it on every request: a client can forge a header that the proxy only passes on.',
    { fallbackDoc: 'none' },
  ),
  geoipDatabase: path(
    "A geolocation database of countries or cities in MaxMind's format (`.mmdb`). It is used when `COUNTRY_HEADER` gives no country. A running instance reads a newer file in its place.",
    { fallbackDoc: 'none' },
  ),
  suspicionNewDevice: choice(
    'The response to a login from a device that was not used before: none, or a mail to the user.',
    ['off', 'notify'],
    {
      fallback: 'notify',
    },
  ),
  suspicionCountry: choice(
    'The response when a session is used from a country other than the one it began in. `off`: none; `notify`: a mail to the user; `reauthenticate`: the session is refused until the user has authenticated again; `end`: the session ends.',
    RESPONSES,
    { fallback: 'reauthenticate' },
  ),
  adminSuspicionCountry: choice(
    '`SUSPICION_COUNTRY` for users with a privileged role, such as admin.',
    RESPONSES,
    {
      fallback: 'end',
    },
  ),
  suspicionTravel: choice(
    'The response when the location of a session changes by 500 km or more, faster than 900 km/h. Requires a geolocation database of cities.',
    RESPONSES,
    { fallback: 'notify' },
  ),
  suspicionBrowser: choice(
    'The response when a session is used by a browser other than the one it began in.',
    RESPONSES,
    {
      fallback: 'notify',
    },
  ),
  rateLimits: choice(
    '`off` disables all rate limits, for load tests; refused in production.',
    ['on', 'off'],
    { fallback: 'on' },
  ),
  maxConnections: integer(
    'The maximum number of connections to one instance; further connections are closed at once.',
    {
      min: 1,
      max: 1_000_000,
      fallback: '10000',
    },
  ),
  requestTimeout: duration(
    'The time that a client has to send a request, and a third of it to send the headers; then its connection is closed.',
    { min: '300ms', max: '5m', fallback: '30s' },
  ),
  shutdownDelay: duration(
    'After SIGTERM the instance reports that it is not ready, but serves for this long, so that load balancers notice. Then it takes no new requests, finishes those that have begun and exits. Choose more than the load balancer needs to notice, and more than it keeps idle connections.',
    {
      min: '0s',
      max: '5m',
      fallback: (production) => (production ? '5s' : '0s'),
      fallbackDoc: '`0s`, in production `5s`',
    },
  ),
  passwordMinLength: integer('The minimum number of characters in a new password.', {
    min: 8,
    max: 64,
    fallback: '15',
  }),
  passwordHashQueue: integer(
    'The maximum number of logins that wait for the password hasher; further logins are refused with 503 and a `Retry-After`.',
    { min: 1, max: 10_000, fallback: '100' },
  ),
  breachedPasswordsUrl: url(
    'The URL of a range service for breached passwords, such as `https://api.pwnedpasswords.com/range/`. The service receives only the first five hex digits of the SHA-1 of a new password.',
    ['https:', 'http:'],
    { fallbackDoc: 'none: new passwords are not checked for breaches' },
  ),
  breachedPasswordsPatience: duration(
    'How long an instance waits for the answer of `BREACHED_PASSWORDS_URL`.',
    {
      min: '10ms',
      max: '10s',
      fallback: '2s',
    },
  ),
  breachedPasswordsWhenDown: choice(
    'Whether a new password is allowed or refused when `BREACHED_PASSWORDS_URL` does not answer in time.',
    ['allow', 'refuse'],
    { fallback: 'allow' },
  ),
  emailVerification: choice(
    'Whether a login requires a verified e-mail address: its owner has followed the link in a mail.',
    ['off', 'required'],
    {
      fallback: (production) => (production ? 'required' : 'off'),
      fallbackDoc: '`off`, in production `required`',
    },
  ),
  adminMfa: choice(
    'Whether users with a privileged role, such as admin, must log in with a second factor. `required`: on routes that check the session, such a user without a verified second factor can reach only the enrolment endpoints.',
    ['off', 'required'],
    {
      fallback: (production) => (production ? 'required' : 'off'),
      fallbackDoc: '`off`, in production `required`',
    },
  ),
  deviceBinding: choice(
    'Whether sessions are bound to a key of their device, so that copied cookies and tokens are refused elsewhere. `offer`: browsers with Device Bound Session Credentials and clients with DPoP bind their sessions; `require-for-admins`: in addition, a privileged role such as admin does not apply in a session without a key; `off`: no session is bound, and keys of earlier sessions are not checked.',
    ['off', 'offer', 'require-for-admins'],
    { fallback: 'offer' },
  ),
  appUrl: baseUrl(
    'The public URL of the application. Links in mails begin with it. Production requires `https`.',
    {
      fallbackDoc: '`http://localhost:PORT`',
    },
  ),
  passkeyRpId: domain(
    'The domain of passkeys: the host of `APP_URL`, or a parent domain of it, such as `example.com` for `https://app.example.com`. A passkey works only for its domain: after a change of this setting, all existing passkeys stop working.',
    { fallbackDoc: 'the host of `APP_URL`' },
  ),
  smtpUrl: url('The SMTP server that sends the mails.', ['smtp:', 'smtps:'], {
    fallbackDoc: 'none: mails are written to files under `DATA_DIR`, and in development printed',
    secret: true,
  }),
  smtpTls: choice(
    'Whether the server of `SMTP_URL` must offer TLS with a verified certificate. `remote`: unless it is this machine; `always`: in any case; `off`: never. With `off`, passwords and the links in mails can be sent unencrypted.',
    ['remote', 'always', 'off'],
    { fallback: 'remote' },
  ),
  smtpCaFile: path('The file with the certificate authorities of the server of `SMTP_URL`, in PEM.', {
    fallbackDoc: 'the authorities that Node.js trusts',
  }),
  smtpHeloName: heloName('The name that the instance sends to the server of `SMTP_URL` (HELO).', {
    fallbackDoc: 'the host name of the machine',
  }),
  mailFrom: address('The sender of mails. Its domain is also used in `Message-ID`.', {
    fallback: PRODUCT.mailFrom,
  }),
  mailLocale: languageTag(
    'The language of mails to users that have chosen none. `en` is built in. The boot stops if the code adds no labels for the language; mails without a translation are sent in English.',
    { fallback: 'en' },
  ),
  migrateOnBoot: flag('Apply migrations before listening. In production run `npm run db:migrate` instead.', {
    fallback: (production) => String(!production),
    fallbackDoc: '`true`, in production `false`',
  }),
  seedUsers: flag('Create demo users, in development with demo rows; refused in production.', {
    fallback: (production) => String(!production),
    fallbackDoc: '`true`, in production `false`',
  }),
  apiDocs: flag('Serve `/openapi.json` and `/docs`.', {
    fallback: (production) => String(!production),
    fallbackDoc: '`true`, in production `false`',
  }),
  logLevel: choice(
    'The lowest severity of log lines to print.',
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    { fallback: 'info' },
  ),
} satisfies Record<string, Setting<unknown>>;

type SettingValues = {
  readonly [Name in keyof typeof SETTINGS]: (typeof SETTINGS)[Name] extends Setting<infer T> ? T : never;
};

/** All settings, validated. A service gets them by the type: `constructor(private readonly settings: Settings) {}`. */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- the class is only the token of injection
export abstract class Settings {}
export interface Settings extends SettingValues {}

export type SettingName = keyof Settings;

/** `accessTokenTtl` → `ACCESS_TOKEN_TTL` */
export function variableOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

function isOrigin(item: string): boolean {
  return webOriginOf(item) === item && !item.includes('*');
}

export function isNetwork(item: string): boolean {
  const [address = '', prefix, ...rest] = item.split('/');
  if (rest.length > 0 || isIP(address) === 0) return false;
  if (prefix === undefined) return true;
  // A range of all addresses is refused: Fastify throws at `/0`.
  return /^\d{1,3}$/.test(prefix) && Number(prefix) >= 1 && Number(prefix) <= (isIPv4(address) ? 32 : 128);
}
