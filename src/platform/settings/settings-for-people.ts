import { allSettings } from './feature-settings.js';
import { loadSettings } from './load-settings.js';
import type { Setting } from './setting.js';
import { variableOf } from './settings.js';

/** A variable, the source of its value, and the value as it may be shown. */
export type ShownSetting = [variable: string, source: string, value: string];

/**
 * The settings in force, for an operator. No secret is part of the result.
 *
 * @param environment of the process, as it was started
 * @param env the same, with the values of `.env`
 * @throws SettingsError that names each wrong variable
 */
export function settingsForPeople(environment: NodeJS.ProcessEnv, env: NodeJS.ProcessEnv): ShownSetting[] {
  loadSettings(env);
  const isProduction = env['NODE_ENV'] === 'production';
  return [...allSettings].map(([name, setting]) => {
    const variable = variableOf(name);
    const { fallback, fallbackDoc } = setting;
    const given = env[variable] || undefined;
    const inForce = given ?? (typeof fallback === 'function' ? fallback(isProduction) : fallback);
    const value = inForce ? shown(setting, inForce) : `(${(fallbackDoc ?? 'none').replaceAll('`', '')})`;
    if (given === undefined) return [variable, 'default', value];
    return [variable, environment[variable] ? 'environment' : '.env', value];
  });
}

/** The text of a value, unless it is a secret. */
function shown({ secret, redact }: Setting<unknown>, text: string): string {
  if (redact) return redact(text);
  return secret ? '(hidden)' : text;
}
