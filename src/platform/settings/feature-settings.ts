import type { Setting } from './setting.js';
import { SETTINGS, variableOf, type SettingName, type Settings } from './settings.js';

type Declarations = Readonly<Record<string, Setting<unknown>>>;

/** The values of some settings. A setting without a default may be undefined, so its kind says so. */
type Values<D extends Declarations> = {
  readonly [Name in keyof D]: D[Name] extends Setting<infer T> ? T : never;
};

const declared = new Map<string, Setting<unknown>>(Object.entries(SETTINGS));
const faults: string[] = [];

/** The settings of the core and of all features, by name, in the order of their declaration. */
export const allSettings: ReadonlyMap<string, Setting<unknown>> = declared;

/** The names that two declarations use, in sentences. They stop the boot. */
export const settingFaults: readonly string[] = faults;

/**
 * Declares the settings of a feature. Call it where a module loads, not in a function. They obey the same rules as
 * those of the core: the boot stops at a wrong value, and `npm run docs:settings` documents them. Begin each name with
 * the name of the feature: `billingTrial` is the variable `BILLING_TRIAL`.
 *
 * @returns a function that picks their values from {@link Settings}
 */
export function defineSettings<const D extends Declarations>(settings: D): (settings: Settings) => Values<D> {
  for (const [name, setting] of Object.entries(settings)) {
    if (declared.has(name)) faults.push(`${variableOf(name)} is declared twice; choose another name`);
    else declared.set(name, setting);
  }
  return (values) => values as unknown as Values<D>;
}

/** The effective settings by variable. A setting that may be a secret is only reported as set. */
export function settingsForLog(settings: Settings): Record<string, unknown> {
  return Object.fromEntries(
    [...allSettings]
      .map(([name, { secret }]) => ({ name, secret, value: settings[name as SettingName] as unknown }))
      .filter(({ value }) => value !== undefined)
      .map(({ name, secret, value }) => [variableOf(name), secret && !isEmpty(value) ? '(set)' : value]),
  );
}

const isEmpty = (value: unknown): boolean => value === '' || (Array.isArray(value) && value.length === 0);
