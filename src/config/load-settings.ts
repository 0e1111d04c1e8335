import { BootError } from '../common/boot-error.js';
import { homeOf, isWithin, relyingPartyOf } from './relying-party.js';
import { SETTINGS, variableOf, type SettingName, type Settings } from './settings.js';
import type { Setting } from './setting.js';

/** Says all that is wrong with the environment, one line per variable. */
export class SettingsError extends BootError {
  constructor(readonly lines: string[]) {
    super(lines.join('\n'));
  }
}

/**
 * @throws SettingsError naming each variable that is wrong, what is wrong with it and what is allowed
 */
export function loadSettings(env: NodeJS.ProcessEnv): Settings {
  const production = env['NODE_ENV'] === 'production';
  const values: Record<string, unknown> = {};
  const lines: string[] = [];
  for (const [name, setting] of Object.entries(SETTINGS) as [SettingName, Setting<unknown>][]) {
    const variable = variableOf(name);
    // An empty variable is an unset one: that is what `FOO=` in a compose file means.
    const given = env[variable] || undefined;
    const text = given ?? fallbackOf(setting, production);
    if (text === undefined) continue;
    const result = setting.parse.safeParse(text);
    if (result.success) {
      values[name] = result.data;
    } else {
      const shown = setting.secret ? '' : ` "${text}"`;
      lines.push(`${variable}${shown} ${result.error.issues[0]?.message}; allowed: ${setting.allowed}`);
    }
  }
  if (lines.length === 0) lines.push(...contradictions(values as Settings));
  if (lines.length > 0) throw new SettingsError(lines);
  return Object.freeze(values) as Settings;
}

function fallbackOf(setting: Setting<unknown>, production: boolean): string | undefined {
  return typeof setting.fallback === 'function' ? setting.fallback(production) : setting.fallback;
}

/** What is right for each variable but wrong together. */
function contradictions(settings: Settings): string[] {
  const lines: string[] = [];
  const refuse = (name: SettingName, why: string) => lines.push(`${variableOf(name)} ${why}`);
  if (!isWithin(homeOf(settings).hostname, relyingPartyOf(settings).id))
    refuse('passkeyRpId', 'is neither the host of APP_URL nor a domain above it: no page could use passkeys');
  if (settings.nodeEnv === 'production') {
    if (!settings.databaseUrl) refuse('databaseUrl', 'is not set; production needs a PostgreSQL of its own');
    if (!settings.redisUrl)
      refuse('redisUrl', 'is not set; production needs a Redis that its instances share');
    if (!settings.keysFile)
      refuse('keysFile', 'is not set; make one for production with `npm run keys:generate`');
    if (!settings.cookieSecure) refuse('cookieSecure', '"false" is refused in production; allowed: `true`');
    if (settings.rateLimits === 'off') refuse('rateLimits', '"off" is refused in production; allowed: `on`');
    if (settings.appUrl && !settings.appUrl.startsWith('https:'))
      refuse('appUrl', 'is not https; production sends secrets along such links');
    if (settings.seedUsers) refuse('seedUsers', '"true" is refused in production; allowed: `false`');
  }
  return lines;
}
