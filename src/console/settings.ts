import { defineSettings, setting } from '#core';

/** The settings of the console. */
export const consoleSettings = defineSettings({
  console: setting.choice(
    'Serves the console at `/console`, and the pages that mails link to.',
    ['on', 'off'],
    {
      fallback: (production) => (production ? 'off' : 'on'),
      fallbackDoc: '`on`, in production `off`',
    },
  ),
});
