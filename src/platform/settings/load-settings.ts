import { BootError } from './boot-error.js';
import { allSettings, settingFaults } from './feature-settings.js';
import { homeOf, isWithin, relyingPartyOf } from './relying-party.js';
import { SETTINGS, variableOf, type SettingName, type Settings } from './settings.js';
import type { Setting } from './setting.js';
import { wantsTls } from './store-tls.js';
import { SAMPLE_PASSWORDS } from '../../product.js';

/** Reports everything that is wrong with the environment, one line for each variable. */
export class SettingsError extends BootError {
  constructor(readonly lines: string[]) {
    super(lines.join('\n'));
  }
}

/** @throws SettingsError that names each wrong variable, the problem and the allowed values */
export function loadSettings(env: NodeJS.ProcessEnv): Settings {
  const values: Record<string, unknown> = {};
  const lines = [...settingFaults];
  for (const [name, setting] of allSettings) {
    const { value, complaint } = read(name, setting, env);
    if (complaint) lines.push(complaint);
    else if (value !== undefined) values[name] = value;
  }
  if (lines.length === 0) lines.push(...contradictions(values as Settings));
  if (lines.length > 0) throw new SettingsError(lines);
  return Object.freeze(values) as Settings;
}

/**
 * Reads one setting, for a command that needs no others.
 * @throws SettingsError
 */
export function loadSetting<Name extends SettingName>(name: Name, env: NodeJS.ProcessEnv): Settings[Name] {
  const { value, complaint } = read(name, SETTINGS[name] as Setting<unknown>, env);
  if (complaint) throw new SettingsError([complaint]);
  return value as Settings[Name];
}

function read(
  name: string,
  setting: Setting<unknown>,
  env: NodeJS.ProcessEnv,
): { value?: unknown; complaint?: string } {
  const variable = variableOf(name);
  // An empty variable counts as unset: that is what `FOO=` in a compose file means.
  const text = env[variable] || fallbackOf(setting, env['NODE_ENV'] === 'production');
  if (text === undefined) return {};
  const result = setting.parse.safeParse(text);
  if (result.success) return { value: result.data };
  const shown = setting.secret ? '' : ` "${text}"`;
  return { complaint: `${variable}${shown} ${result.error.issues[0]?.message}; allowed: ${setting.allowed}` };
}

function fallbackOf(setting: Setting<unknown>, production: boolean): string | undefined {
  return typeof setting.fallback === 'function' ? setting.fallback(production) : setting.fallback;
}

/** Values that are valid by themselves, but contradict each other. */
function contradictions(settings: Settings): string[] {
  const lines: string[] = [];
  const refuse = (name: SettingName, why: string) => lines.push(`${variableOf(name)} ${why}`);
  if (settings.redisUrl?.some((url) => wantsTls(url, settings) && !url.startsWith('rediss:')))
    refuse(
      'redisUrl',
      'must begin with rediss: because STORE_TLS requires TLS; set STORE_TLS=off if only you use its network',
    );
  const sslmode = settings.databaseUrl && new URL(settings.databaseUrl).searchParams.get('sslmode');
  if (sslmode && sslmode !== 'verify-full' && wantsTls(settings.databaseUrl!, settings))
    refuse('databaseUrl', 'has an sslmode that verifies less than STORE_TLS requires; leave it out');
  if (settings.smtpUrl && !new URL(settings.smtpUrl).hostname)
    refuse('smtpUrl', 'names no server; allowed: `smtp://server` or `smtps://server`');
  if (settings.smtpUrl && /[?#]/.test(settings.smtpUrl))
    refuse('smtpUrl', 'has parameters; use the settings SMTP_TLS, SMTP_CA_FILE and SMTP_HELO_NAME instead');
  if (!isWithin(homeOf(settings).hostname, relyingPartyOf(settings).id))
    refuse('passkeyRpId', 'is neither the host of APP_URL nor a domain above it: no page could use passkeys');
  if (settings.requestIdFromProxy && settings.trustedProxies.length === 0)
    refuse('requestIdFromProxy', 'is "true", but TRUSTED_PROXIES names no proxy');
  if (settings.nodeEnv === 'production') {
    if (!settings.databaseUrl) refuse('databaseUrl', 'is not set; production requires a PostgreSQL server');
    if (!settings.redisUrl)
      refuse('redisUrl', 'is not set; production requires a Redis that all instances share');
    if (settings.databaseUrl && hasSamplePassword(settings.databaseUrl))
      refuse('databaseUrl', 'has the password of docker-compose.yml, which is public');
    if (settings.redisUrl?.some(hasSamplePassword))
      refuse('redisUrl', 'has the password of docker-compose.yml, which is public');
    if (!settings.keysFile)
      refuse('keysFile', 'is not set; generate a key file for production with `npm run keys:generate`');
    if (!settings.cookieSecure) refuse('cookieSecure', '"false" is refused in production; allowed: `true`');
    if (settings.rateLimits === 'off') refuse('rateLimits', '"off" is refused in production; allowed: `on`');
    if (settings.appUrl && !settings.appUrl.startsWith('https:'))
      refuse('appUrl', 'must begin with https: in production, because links in mails contain secrets');
    if (settings.seedUsers) refuse('seedUsers', '"true" is refused in production; allowed: `false`');
  }
  return lines;
}

function hasSamplePassword(url: string): boolean {
  return SAMPLE_PASSWORDS.includes(new URL(url).password);
}
