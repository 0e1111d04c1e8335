import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { DataSource } from 'typeorm';
import { loadSettings } from '../../src/platform/settings/load-settings.js';
import { Jobs } from '../../src/platform/jobs/jobs.js';
import { NEW_DEVICE_MAIL } from '../../src/sessions/mails.js';
import { MailOutbox } from '../../src/platform/mail/mail-outbox.js';
import { resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { makeCertificates } from '../../test/support/certificates.js';
import { MailCatcher, type MailCatcherOptions } from '../../test/support/mail-catcher.js';

/** Real: PostgreSQL, an instance, SMTP and TLS over a socket. Simulated: the mail server at its other end. */

const trusted = makeCertificates('localhost');
const unknown = makeCertificates('localhost');
const misnamed = makeCertificates('mail.example.com');
const folder = mkdtempSync(join(tmpdir(), 'drawbridge-mail-tls-'));
const authority = join(folder, 'ca.pem');

let catcher: MailCatcher;
let app: TestApp;
const logged: Record<string, any>[] = [];

beforeAll(() => writeFileSync(authority, trusted.authority));
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  logged.length = 0;
  await resetStores();
});
afterEach(async () => {
  await app?.close();
  await catcher?.stop();
});

/** @param host `0.0.0.0` reaches this machine, but is no address of loopback: to the instance it is another machine. */
async function send(options: MailCatcherOptions, host: string, env: Record<string, string> = {}) {
  catcher = await MailCatcher.start(options);
  app = await startApp({
    env: {
      SMTP_URL: `smtp://mailer:hunter2@${host}:${catcher.port}`,
      SMTP_CA_FILE: authority,
      MAIL_FROM: 'Our product <no-reply@ours.example>',
      REDIS_URL: undefined,
      ...env,
    },
    logger: pino({ level: 'warn' }, { write: (line: string) => logged.push(JSON.parse(line)) }),
  });
  const outbox = app.get(MailOutbox);
  app.get(Jobs).stop('mail-outbox'); // the test triggers the sending
  await app
    .get(DataSource)
    .transaction((tx) =>
      outbox.add(tx, 'ann@example.com', NEW_DEVICE_MAIL, { at: '2026-01-31T12:00:00.000Z' }),
    );
  return outbox.run();
}
const inTheClear = () => catcher.lines.filter(({ encrypted }) => !encrypted).map(({ line }) => line);
const waiting = () => app.query('select recipient from mails');
const failure = () => logged.find(({ msg }) => msg === 'a mail could not be sent')?.err;

it('a mail to a server that offers STARTTLS is encrypted, including its login', async () => {
  expect(await send({ tls: trusted.server }, 'localhost', { SMTP_TLS: 'always' })).toBe(1);
  expect(catcher.mails).toHaveLength(1);
  expect(inTheClear().map((line) => line.split(' ')[0])).toEqual(['EHLO', 'STARTTLS']);
  expect(catcher.lines).toContainEqual({ line: expect.stringMatching(/^AUTH /), encrypted: true });
});

it.each<[string, MailCatcherOptions, string, Record<string, string>, RegExp]>([
  ['has no TLS and is another machine', {}, '0.0.0.0', {}, /does not offer TLS, which SMTP_TLS requires/],
  [
    'has no TLS where SMTP_TLS=always',
    {},
    '127.0.0.1',
    { SMTP_TLS: 'always' },
    /does not offer TLS, which SMTP_TLS requires/,
  ],
  [
    'seems to have no TLS, because an attacker in between hides it',
    { tls: trusted.server, strip: true },
    'localhost',
    { SMTP_TLS: 'always' },
    /does not offer TLS, which SMTP_TLS requires/,
  ],
  [
    'has the certificate of an unknown authority',
    { tls: unknown.server },
    'localhost',
    { SMTP_TLS: 'always' },
    /certificate/,
  ],
  [
    'has a certificate for another name',
    { tls: misnamed.server },
    'localhost',
    { SMTP_TLS: 'always', SMTP_CA_FILE: join(folder, 'misnamed.pem') },
    /does not match certificate|altnames/,
  ],
])(
  'a server that %s gets neither the mail nor the password, and the log says why',
  async (_what, options, host, env, why) => {
    writeFileSync(join(folder, 'misnamed.pem'), misnamed.authority);
    expect(await send(options, host, env)).toBe(0);
    expect(catcher.mails).toEqual([]);
    expect(inTheClear().filter((line) => !/^(EHLO|STARTTLS|QUIT)/.test(line))).toEqual([]);
    expect(await waiting()).toEqual([{ recipient: 'ann@example.com' }]);
    expect(failure().message).toMatch(why);
    expect(JSON.stringify(logged)).not.toContain('hunter2');
  },
);

it.each<[string, string, Record<string, string>]>([
  ['on this machine', '127.0.0.1', {}],
  ['elsewhere with SMTP_TLS=off', '0.0.0.0', { SMTP_TLS: 'off' }],
])('a server without TLS %s gets the mail', async (_where, host, env) => {
  expect(await send({}, host, env)).toBe(1);
  expect(catcher.mails).toHaveLength(1);
});

it('a mail has a Message-ID of the domain of its sender', async () => {
  await send({}, '127.0.0.1');
  expect(catcher.mails[0]!.source).toMatch(/^Message-ID: <[^@\s]+@ours\.example>$/im);
});

it('an instance uses SMTP_HELO_NAME in its greeting', async () => {
  await send({}, '127.0.0.1', { SMTP_HELO_NAME: 'app.ours.example' });
  expect(inTheClear()[0]).toBe('EHLO app.ours.example');
});

describe('a mail setting stops the boot', () => {
  it.each([
    [
      'parameters that would turn TLS off',
      { SMTP_URL: 'smtp://mail.example.com?requireTLS=false' },
      /SMTP_URL has parameters/,
    ],
    [
      'parameters of TLS',
      { SMTP_URL: 'smtps://mail.example.com/?tls.rejectUnauthorized=false' },
      /SMTP_URL has parameters/,
    ],
    ['a URL without a server', { SMTP_URL: 'smtp:mail.example.com' }, /SMTP_URL names no server/],
    ['an unknown SMTP_TLS', { SMTP_TLS: 'no' }, /SMTP_TLS "no" .*allowed: `remote`/],
    [
      'a HELO name with a line break',
      { SMTP_HELO_NAME: 'a.example\r\nRCPT TO:<b@c.example>' },
      /SMTP_HELO_NAME/,
    ],
    ['a HELO name of one word', { SMTP_HELO_NAME: 'server' }, /SMTP_HELO_NAME "server" .*allowed: a domain/],
  ])('over %s', (_what, env, message) => {
    expect(() => loadSettings(env)).toThrow(message);
  });
});
