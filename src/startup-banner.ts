import type { Settings } from './platform/settings/settings.js';
import { DEMO_PASSWORD, DEMO_USERS } from './seeds.js';
import { PRODUCT } from './product.js';

/** The start-up message for new developers: the address, the configuration, and three commands to paste. */
export function startupBanner(settings: Settings, url: string): string {
  const base = url.replace('[::1]', 'localhost').replace('127.0.0.1', 'localhost');
  const json = `-H 'content-type: application/json'`;
  const login = (email: string, jar: string) =>
    `curl -sS -c ${jar} ${json} -d '{"email":"${email}","password":"${DEMO_PASSWORD}"}' ${base}/v1/auth/login`;
  const alice = DEMO_USERS.find(({ email }) => email.startsWith('alice'))!;
  const lines = [
    '',
    `${PRODUCT.name} listens on ${base}`,
    `  cache     ${settings.redisUrl ? 'Redis' : 'in-process: set REDIS_URL to run more than one instance'}`,
    ...(hasConsole(settings) ? [`  console   ${base}/console`] : []),
    ...(settings.smtpUrl ? [] : [`  mails     ${base}/dev/mails`]),
    ...(settings.apiDocs ? [`  API       ${base}/docs`] : []),
  ];
  if (settings.seedUsers) {
    lines.push(
      `  users     ${DEMO_USERS.map(({ email }) => email).join(', ')}`,
      `  password  ${DEMO_PASSWORD}`,
      '',
      '1. Log in as alice',
      `   ${login(alice.email, 'alice.jar')}`,
      '2. Read the profile, which requires a live session',
      `   curl -sS -b alice.jar ${base}/v1/users/me`,
      '3. Force alice out, as an admin',
      `   ${login('admin@example.com', 'admin.jar')} && curl -sS -b admin.jar -X DELETE ${base}/v1/admin/users/${alice.id}/sessions`,
      '',
      'Then read the profile again: 401 auth.session_ended, because an admin ended the session.',
    );
  }
  return `${lines.join('\n')}\n`;
}

/** The setting belongs to a feature, which may have been deleted. */
function hasConsole(settings: Settings): boolean {
  return (settings as { console?: string }).console === 'on';
}
