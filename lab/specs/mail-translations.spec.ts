import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable, Module } from '@nestjs/common';
import { pino } from 'pino';
import { coreMails, MailLocales, PRODUCT, translateMail, translateMailLabels } from '#core';
import { ENGLISH_LABELS, type MailLabels } from '../../src/platform/mail/content/mail-labels.js';
import { render } from '../../src/platform/mail/content/render-mail.js';
import {
  defineMail,
  MAILS,
  type MailContent,
  type MailTemplate,
} from '../../src/platform/mail/define-mail.js';
import { BootError } from '../../src/platform/settings/boot-error.js';
import { ALICE, BOB, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { textsOfHtml } from '../../test/support/mail-html.js';
import { Mailbox } from '../../test/support/mailbox.js';
import { loggedIn } from '../../test/support/test-users.js';

/**
 * Real: PostgreSQL, an instance, the outbox. Simulated: the mail server, and a translation into "Hebrew", which has the
 * letter alef in place of each Latin letter. So a Latin letter in a mail is a text that no translation reaches.
 */

const CORE = Object.values(coreMails) as unknown as MailTemplate<never>[];
const UNTRANSLATED = 'untranslated';
defineMail(UNTRANSLATED, () => ({ subject: 'English', paragraphs: ['English.'] }));

const hebrew = (text: string) => text.replace(/[A-Za-z]/g, 'א');
function hebrewContent({ subject, paragraphs, button, reason }: MailContent): MailContent {
  return {
    subject: hebrew(subject),
    paragraphs: paragraphs.map((part) => (typeof part === 'string' ? hebrew(part) : part)),
    ...(button && { button: hebrew(button) }),
    ...(reason && { reason: hebrew(reason) }),
  };
}

for (const name of CORE) {
  const { write } = MAILS.get(name);
  translateMail(name, 'he', (data) => hebrewContent(write(data)));
}
translateMailLabels(
  'he',
  Object.fromEntries(
    Object.entries(ENGLISH_LABELS).map(([label, text]) => [label, hebrew(text)]),
  ) as unknown as MailLabels,
);

/** The data of all mails, without a Latin letter except in codes. */
const DATA = {
  at: '2026-01-31T12:00:00.000Z',
  device: 'Дом',
  ip: '192.0.2.7',
  country: 'DE',
  newEmail: 'Анна',
  name: 'Ключ',
  provider: 'Дом',
  account: 'Анна',
  where: 'Дом',
  left: 2,
  signals: [
    { name: 'country', country: 'DE', originCountry: 'AT' },
    { name: 'travel', km: 500, hours: 1 },
    { name: 'browser', browser: null, usual: 'Дом' },
  ],
};
const LINK = 'https://app.example/page';

describe('A translation', () => {
  it.each(CORE)('It reaches every text of mail %s, in text and in HTML', (name) => {
    const link = MAILS.get(name).link ? LINK : '';
    const { subject, text, html } = render(name, DATA as never, { link, locales: ['he'] });
    for (const part of [subject, text, textsOfHtml(html)]) {
      const rest = part.replaceAll(LINK, '').replaceAll(PRODUCT.name, '').replaceAll('UTC', '');
      expect(rest).not.toMatch(/[A-Za-z]/);
      expect(rest).toMatch(/א/);
    }
    expect(html).toContain('<html lang="he" dir="rtl">');
  });
});

/** Finds the language of a user, as a feature does. The tests keep it in a column that exists. */
@Injectable()
class Languages {
  constructor(locales: MailLocales) {
    locales.register(async (tx, address) => {
      const [user] = await tx.query<{ locale: string | null }[]>(
        'select display_name as locale from users where email = $1',
        [address],
      );
      return user?.locale;
    });
  }
}

@Module({ providers: [Languages] })
class LanguagesModule {}

describe('An instance', () => {
  let app: TestApp | undefined;

  beforeAll(resetStores);
  afterEach(async () => {
    await app?.close();
    app = undefined;
  });
  afterAll(resetStores);

  async function mailsOfAddressChange(env: Record<string, string>, features?: (typeof LanguagesModule)[]) {
    app = await startApp({ env: { SUSPICION_NEW_DEVICE: 'off', ...env }, features });
    await app.query(`update users set display_name = case email when $1 then 'he-IL' else null end`, [
      ALICE.email,
    ]);
    const mailbox = new Mailbox(app);
    const subjects: Record<string, string[]> = {};
    for (const user of [ALICE, BOB]) {
      const to = `new-${user.email}`;
      const me = await loggedIn(app, user);
      expect((await me.post('/v1/auth/email/change', { email: to })).status).toBe(202);
      const asked = await mailbox.collect();
      const [, token] = /#token=(\S+)/.exec(asked.find((mail) => mail.to === to)!.text)!;
      expect((await app.client().post('/v1/auth/email/verify', { token })).status).toBe(204);
      const changed = await mailbox.collect();
      await app.query('update users set email = $2 where email = $1', [to, user.email]);
      subjects[user.email] = [...asked, ...changed].map(({ subject }) => subject);
    }
    return subjects;
  }

  const ENGLISH = [
    'Confirm your new e-mail address',
    'A change of your e-mail address was requested',
    'Your e-mail address was changed',
  ];

  it('It sends each mail in the language of its user, also to an address that is not yet, or no longer, theirs', async () => {
    const subjects = await mailsOfAddressChange({}, [LanguagesModule]);
    expect(subjects).toEqual({ [ALICE.email]: ENGLISH.map(hebrew), [BOB.email]: ENGLISH });
  });

  it('It sends mails in the language of MAIL_LOCALE to users without a language, and names the mails that lack it', async () => {
    const logged: Record<string, unknown>[] = [];
    const logger = pino({ level: 'warn' }, { write: (line: string) => logged.push(JSON.parse(line)) });
    app = await startApp({ env: { MAIL_LOCALE: 'he-il' }, logger });
    const mails = logged.filter(({ mailLocale }) => mailLocale === 'he-IL').map(({ mails }) => mails);
    expect(mails).toEqual([[UNTRANSLATED]]);
    await app.close();
    expect(await mailsOfAddressChange({ MAIL_LOCALE: 'he' })).toEqual({
      [ALICE.email]: ENGLISH.map(hebrew),
      [BOB.email]: ENGLISH.map(hebrew),
    });
  });

  it('It does not boot with a MAIL_LOCALE that is no language tag, or that the code does not have', async () => {
    await expect(startApp({ env: { MAIL_LOCALE: 'de_AT' } })).rejects.toThrow(
      'MAIL_LOCALE "de_AT" is not a language tag; allowed: a language tag such as `de` or `pt-BR`',
    );
    const refusal = startApp({ env: { MAIL_LOCALE: 'fr' } });
    await expect(refusal).rejects.toThrow(BootError);
    await expect(refusal).rejects.toThrow('MAIL_LOCALE is fr, but no translateMailLabels() call');
  });
});
