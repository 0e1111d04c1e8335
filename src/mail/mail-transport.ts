import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport, type Transporter } from 'nodemailer';
import type { Logger } from '../common/logger.js';
import type { Settings } from '../config/settings.js';

/** One mail as it leaves. */
export interface Mail {
  /** The same each time that it is tried, so that receivers can tell a repetition. */
  id: string;
  to: string;
  subject: string;
  text: string;
  html: string;
}

/** How mails leave. Rejects when it could not be handed over; it is tried again then. */
export abstract class MailTransport {
  abstract send(mail: Mail): Promise<void>;
}

const SMTP_TIMEOUT_MS = 10_000;

export class SmtpTransport extends MailTransport {
  private readonly smtp: Transporter;

  constructor(
    url: string,
    private readonly from: string,
  ) {
    super();
    this.smtp = createTransport({
      url,
      connectionTimeout: SMTP_TIMEOUT_MS,
      greetingTimeout: SMTP_TIMEOUT_MS,
      socketTimeout: SMTP_TIMEOUT_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }

  override async send({ id, to, ...mail }: Mail): Promise<void> {
    await this.smtp.sendMail({
      ...mail,
      // One address, whatever is in it: as a string it would be read as a list.
      to: { name: '', address: to },
      from: this.from,
      messageId: `<${id}@drawbridge>`,
      // Nobody's absence assistant is to answer (RFC 3834).
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
  }
}

export function mailsFolder({ dataDir }: Settings): string {
  return join(dataDir, 'mails');
}

/** For a desk: mails are told of in the log, kept as files, and printed where somebody is there to follow their links. */
export class FolderTransport extends MailTransport {
  constructor(
    private readonly folder: string,
    private readonly logger: Logger,
    /** Not the log, which knows no tokens. */
    private readonly print?: (mail: string) => void,
  ) {
    super();
  }

  override async send({ id, to, subject, text }: Mail): Promise<void> {
    const file = join(this.folder, `${id}.txt`);
    const mail = `To: ${to}\nSubject: ${subject}\n\n${text}\n`;
    await this.write(file, mail);
    this.logger.info({ subject, file }, 'a mail; set SMTP_URL to send it');
    this.print?.(mail);
  }

  /** The folder is made when it is missed. */
  private async write(file: string, text: string): Promise<void> {
    const write = () => writeFile(file, text, { mode: 0o600 });
    await write().catch(async () => {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      await write();
    });
  }
}
