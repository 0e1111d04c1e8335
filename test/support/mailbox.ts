import { AccountJobQueue } from '../../src/auth/registration/account-job-queue.js';
import { MAILS } from '../../src/platform/mail/define-mail.js';
import { MailOutbox } from '../../src/platform/mail/mail-outbox.js';
import { MailTransport, type Mail } from '../../src/platform/mail/mail-transport.js';
import { NEW_DEVICE_MAIL } from '../../src/sessions/mails.js';
import { holdBackgroundWork, type TestApp } from './app.js';

/** Read from the mail, so that a product may change its text. */
const ABOUT_LOGINS = MAILS.get(NEW_DEVICE_MAIL).write({ at: new Date(0).toISOString() } as never).subject;

/** Collects the mails of an app instead of sending them. The app writes them when the test requests them. */
export class Mailbox {
  private mails: Mail[] = [];

  constructor(private readonly app: Pick<TestApp, 'get' | 'query'>) {
    holdBackgroundWork(app);
    app.get(MailTransport).send = async (mail) => void this.mails.push(mail);
  }

  /** New mails since the last call, oldest first, except mails about logins, which `devices.spec.ts` tests. */
  async collect(): Promise<Mail[]> {
    await this.app.get(AccountJobQueue).run();
    await this.app.get(MailOutbox).run();
    const mails = this.mails.splice(0).filter(({ subject }) => subject !== ABOUT_LOGINS);
    return mails.sort((a, b) => Number(a.id.split('-')[1]) - Number(b.id.split('-')[1]));
  }

  /** The token in the one link that was mailed to the address since the last call. */
  async tokenFor(address: string): Promise<string> {
    const links = await this.linksTo(address);
    if (links.length !== 1) throw new Error(`${links.length} links were mailed to ${address}`);
    return tokenOf(links[0]!);
  }

  /** The token in the newest link to the address. Older mails may have been waiting. */
  async newestTokenFor(address: string): Promise<string> {
    const newest = (await this.linksTo(address)).at(-1);
    if (newest) return tokenOf(newest);
    const waiting = await this.app.query('select kind, created_at, due_at from account_jobs');
    throw new Error(`no link was mailed to ${address}; account jobs that wait: ${JSON.stringify(waiting)}`);
  }

  private async linksTo(address: string): Promise<string[]> {
    return (await this.collect()).filter(({ to }) => to === address).flatMap(({ text }) => linksIn(text));
  }
}

function tokenOf(link: string): string {
  return new URL(link).hash.replace('#token=', '');
}

export function linksIn(text: string): string[] {
  return text.match(/^https?:\/\/\S+$/gm) ?? [];
}
