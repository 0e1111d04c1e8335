import { defineSettings } from '../../platform/settings/feature-settings.js';
import * as setting from '../../platform/settings/setting.js';

/** The settings of open connections. */
export const connectionSettings = defineSettings({
  openConnectionsPerUser: setting.integer(
    'The maximum number of event streams and WebSockets that one user may have open on each instance. A further one gets 429. Machines with an API key have no such limit.',
    { min: 1, max: 10_000, fallback: '20' },
  ),
});
