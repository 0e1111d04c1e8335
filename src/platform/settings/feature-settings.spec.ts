import { describe, expect, it } from '@jest/globals';
import { defineSettings, settingsForLog } from './feature-settings.js';
import { loadSettings, SettingsError } from './load-settings.js';
import { duration, integer, secret } from './setting.js';

const shopSettings = defineSettings({
  shopLimit: integer('The maximum number of items.', { min: 1, max: 9, fallback: '3' }),
  shopTrial: duration('The length of a trial.', { min: '1d', max: '90d', fallback: '14d' }),
  shopKey: secret('The key of the payment provider.'),
});

describe('The settings that a feature declares', () => {
  it('are read with the others, in their own types and units', () => {
    expect(shopSettings(loadSettings({ SHOP_LIMIT: '5' }))).toMatchObject({
      shopLimit: 5,
      shopTrial: 14 * 86_400_000,
    });
  });

  it('stop the boot at a wrong value, together with wrong values of the core, and name the variables', () => {
    expect(() => loadSettings({ PORT: 'x', SHOP_LIMIT: '10', SHOP_KEY: 'short' })).toThrow(
      new SettingsError([
        'PORT "x" is not a whole number; allowed: a whole number from 0 to 65535',
        'SHOP_LIMIT "10" is out of range; allowed: a whole number from 1 to 9',
        'SHOP_KEY has spaces, or is too short or too long; allowed: 20 to 200 characters without spaces',
      ]),
    );
  });

  it('are logged at the start, except for secrets', () => {
    const settings = loadSettings({ SHOP_KEY: 'k'.repeat(20) });
    expect(settingsForLog(settings)).toMatchObject({ PORT: 3_000, SHOP_LIMIT: 3, SHOP_KEY: '(set)' });
  });

  it('stop the boot if their name is taken', () => {
    defineSettings({ port: integer('Another port.', { min: 1, max: 2 }) });
    expect(() => loadSettings({})).toThrow(
      new SettingsError(['PORT is declared twice; choose another name']),
    );
  });
});
