import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { Jobs } from '../src/platform/jobs/jobs.js';
import { MailOutbox } from '../src/platform/mail/mail-outbox.js';
import { NEW_DEVICE_MAIL } from '../src/sessions/mails.js';
import { SessionCleanupJob } from '../src/sessions/cleanup/session-cleanup.job.js';
import { resetStores, startApp, type TestApp } from './support/app.js';
import { TestClock } from './support/clock.js';
import { MailCatcher } from './support/mail-catcher.js';
import { textsOfHtml } from './support/mail-html.js';

/** Real: PostgreSQL, instances, SMTP over a socket. Simulated: the mail server at its other end. */

const AT = '2026-01-31T12:00:00.000Z';
const HOUR = 3_600_000;

let clock: TestClock;
let catcher: MailCatcher;
let a: TestApp;
let b: TestApp;

beforeEach(async () => {
  await resetStores();
  clock = new TestClock();
  catcher = await MailCatcher.start();
  [a, b] = [await start(), await start()];
  for (const app of [a, b]) outbox(app);
});
afterEach(async () => {
  await Promise.all([a.close(), b.close()]);
  await catcher.stop();
});

const start = () =>
  startApp({ clock, env: { SMTP_URL: catcher.url, MAIL_FROM: 'Our product <no-reply@ours.example>' } });
const outbox = (app: TestApp) => {
  app.get(Jobs).stop('mail-outbox'); // the test triggers the sending
  return app.get(MailOutbox);
};
const add = (recipient: string, device = 'a phone') =>
  a
    .get(DataSource)
    .transaction((tx) =>
      a.get(MailOutbox).add(tx, recipient, NEW_DEVICE_MAIL, { at: AT, device, ip: '192.0.2.7' }),
    );

it('a mail is sent once after the commit, in text and HTML, and is not stored afterwards', async () => {
  const [one, two] = [outbox(a), outbox(b)];
  await add('ann@example.com');
  expect((await Promise.all([one.run(), two.run(), one.run()])).reduce((sum, sent) => sum + sent)).toBe(1);
  expect(await one.run()).toBe(0);
  expect(catcher.mails).toHaveLength(1);
  const { to, source } = catcher.mails[0]!;
  expect(to).toBe('ann@example.com');
  expect(source).toMatch(/^From: Our product <no-reply@ours\.example>$/m);
  expect(source).toMatch(/^Subject: New login from an unknown device$/m);
  expect(source).toMatch(/^Auto-Submitted: auto-generated$/m);
  expect(source).toContain('IP address: 192.0.2.7');
  const html = source.replace(/=\n/g, '').replaceAll('=3D', '=');
  expect(source).toMatch(/^Content-Type: multipart\/alternative;/m);
  expect(html).toContain('<h1 class="strong"');
  expect(html).toMatch(/>IP address<\/th><td [^>]*><bdi>192\.0\.2\.7<\/bdi>/);
  expect(await a.query('select from mails')).toEqual([]);
});

it('a mail makes no link of the name that a device was given', async () => {
  await add('ann@example.com', 'https://evil.com/<b>login</b>, or write to thief@evil.com');
  expect(await outbox(a).run()).toBe(1);
  const source = catcher.mails[0]!.source.replace(/=\n/g, '');
  expect(source).not.toMatch(/evil\.com|https?:|<b>|&lt;b|@evil/);
  expect(source.match(/evil\[dot\]com/g)).toHaveLength(4);
});

it('a mail goes to one mailbox, whatever characters its address has', async () => {
  await add('ann,bob@example.com');
  await add('"<bob@example.com>, ann"@example.com');
  await outbox(a).run();
  for (const { to } of catcher.mails) expect(to).not.toMatch(/^(ann|bob)@/);
});

it('a mail of a transaction that was rolled back is not sent', async () => {
  const box = outbox(a);
  const failed = a.get(DataSource).transaction(async (tx) => {
    await box.add(tx, 'ann@example.com', NEW_DEVICE_MAIL, { at: AT });
    throw new Error('rolled back');
  });
  await expect(failed).rejects.toThrow('rolled back');
  expect(await box.run()).toBe(0);
  expect(catcher.mails).toEqual([]);
});

it('a mail that the server refuses is retried with growing delays, and is not lost', async () => {
  const box = outbox(a);
  catcher.refuse = 3;
  await add('ann@example.com');
  for (const pause of [10_000, 20_000, 40_000]) {
    expect(await box.run()).toBe(0);
    clock.advance(pause - 2_000);
    expect(await box.run()).toBe(0);
    clock.advance(2_000);
  }
  expect(await box.run()).toBe(1);
  expect(catcher.mails).toHaveLength(1);
});

it('a mail to a server that is down is abandoned after four days', async () => {
  const box = outbox(a);
  catcher.refuse = Infinity;
  await add('ann@example.com');
  for (let hours = 0; hours <= 97; hours++) {
    await box.run();
    clock.advance(HOUR);
  }
  const [row] = await a.query(`select given_up_at is not null as given_up, attempts from mails`);
  expect(row).toMatchObject({ given_up: true });
  catcher.refuse = 0;
  expect(await box.run()).toBe(0);
});

it('an abandoned mail is kept for a month, and a waiting one until it is sent', async () => {
  const [ann, bob] = [{ recipient: 'ann@example.com' }, { recipient: 'bob@example.com' }];
  for (const { recipient } of [ann, bob]) await add(recipient);
  await a.query('update mails set given_up_at = $2 where recipient = $1', [
    ann.recipient,
    new Date(clock.now()),
  ]);
  const kept = () => a.query('select recipient from mails order by id');
  clock.advance(30 * 24 * HOUR - 60_000);
  await a.get(SessionCleanupJob).run();
  expect(await kept()).toEqual([ann, bob]);
  clock.advance(120_000);
  await a.get(SessionCleanupJob).run();
  expect(await kept()).toEqual([bob]);
});

it('a mail whose worker died while sending is taken by another worker', async () => {
  await add('ann@example.com');
  const box = outbox(b);
  // The state after a worker has claimed the mail and reported no result.
  await a.query(`update mails set attempts = 1, next_attempt_at = clock_timestamp() + interval '60 s'`);
  expect(await box.run()).toBe(0);
  clock.advance(61_000);
  expect(await box.run()).toBe(1);
});

it('more mails than a batch are all sent, each to its own address', async () => {
  const box = outbox(a);
  const people = Array.from({ length: 25 }, (_, index) => `person${index}@example.com`);
  for (const person of people) await add(person);
  expect(await box.run()).toBe(25);
  expect(catcher.mails.map(({ to }) => to).sort()).toEqual(people.sort());
});

it('mails are files under DATA_DIR without SMTP_URL', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'drawbridge-mail-'));
  const app = await startApp({ clock, env: { DATA_DIR: folder } });
  const box = outbox(app);
  await add('ann@example.com');
  expect(await box.run()).toBe(1);
  const files = (await readdir(join(folder, 'mails'))).sort();
  expect(files).toEqual([expect.stringMatching(/^\d+-\d+\.html$/), expect.stringMatching(/^\d+-\d+\.txt$/)]);
  const [html, text] = await Promise.all(files.map((file) => readFile(join(folder, 'mails', file), 'utf8')));
  expect(textsOfHtml(html!)).toContain('IP address\n192.0.2.7');
  expect(text).toContain('To: ann@example.com\nSubject: New login from an unknown device\n');
  expect(text).toContain('IP address: 192.0.2.7');
  await app.close();
  await rm(folder, { recursive: true });
});
