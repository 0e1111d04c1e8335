import { z } from 'zod';
import { defineSettings } from '../../platform/settings/feature-settings.js';
import * as setting from '../../platform/settings/setting.js';
import type { Setting } from '../../platform/settings/setting.js';
import { PRODUCT } from '../../product.js';

const prefix: Setting<string> = {
  doc: 'The beginning of every API key, by which people and secret scanners recognise a key of this product. After a change, existing keys stop working.',
  allowed: 'a lower-case letter, and 1 to 15 lower-case letters and digits',
  fallback: PRODUCT.apiKeyPrefix,
  parse: z.string().regex(/^[a-z][a-z0-9]{1,15}$/, 'is not a prefix'),
};

/** The settings of API keys. */
export const apiKeySettings = defineSettings({
  apiKeyPrefix: prefix,
  apiKeyLimit: setting.integer('The maximum number of live API keys per user.', {
    min: 0,
    max: 1_000,
    fallback: '25',
  }),
  apiKeyRequestsPerMinute: setting.integer(
    'The maximum number of requests per minute with one API key, on each instance. A key may have a lower limit of its own.',
    { min: 1, max: 1_000_000, fallback: '600' },
  ),
  apiKeyMaxLifetime: setting.duration(
    'The longest life of an API key. A key without an expiry of its own gets this one. `0s`: keys need not expire.',
    { min: '0s', max: '3650d', fallback: '0s' },
  ),
  leakedKeysSource: setting.url(
    'The URL of the public keys of a secret scanner that reports leaked API keys, in the format of GitHub: `https://api.github.com/meta/public_keys/secret_scanning`. A reported key ends at once.',
    ['https:', 'http:'],
    { fallbackDoc: 'none: `POST /v1/api-keys/leaked` answers 404' },
  ),
});
