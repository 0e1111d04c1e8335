import { cookieNamesOf } from '../../src/platform/http/cookie-names.js';
import { loadSettings } from '../../src/platform/settings/load-settings.js';

/** The names of the cookies under the default settings. `credentials.spec.ts` states them in full. */
export const COOKIES = cookieNamesOf(loadSettings({}));
