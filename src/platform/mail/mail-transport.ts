import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport, type Transporter } from 'nodemailer';
import type { Logger } from '../logging/logger.js';
import type { Settings } from '../settings/settings.js';
import { isOnThisMachine, readAuthorities } from '../settings/store-tls.js';

/** A rendered mail. */
export interface Mail {
  /** The same at each attempt, so that receivers can recognise a duplicate. */
  id: string;
  to: string;
  subject: string;
  text: string;
  html: string;
}

/** Sends mails. `send` rejects if the mail could not be handed over; the outbox then tries again. */
export abstract class MailTransport {
  abstract send(mail: Mail): Promise<void>;
}

const SMTP_TIMEOUT_MS = 10_000;

type SmtpSettings = Pick<Settings, 'smtpTls' | 'smtpCaFile' | 'smtpHeloName' | 'mailFrom'>;

/** Sends mails to the server of `SMTP_URL`. */
export class SmtpTransport extends MailTransport {
  private readonly smtp: Transporter;
  private readonly domain: string;

  /** @throws BootError if `SMTP_CA_FILE` contains no certificates */
  constructor(
    url: string,
    private readonly settings: SmtpSettings,
  ) {
    super();
    const { smtpCaFile, smtpHeloName, mailFrom } = settings;
    this.domain = /@([^\s<>@]+)>?$/.exec(mailFrom)![1]!;
    this.smtp = createTransport({
      url,
      requireTLS: wantsTls(url, settings),
      ...(smtpCaFile !== undefined && { tls: { ca: readAuthorities('SMTP_CA_FILE', smtpCaFile) } }),
      ...(smtpHeloName !== undefined && { name: smtpHeloName }),
      connectionTimeout: SMTP_TIMEOUT_MS,
      greetingTimeout: SMTP_TIMEOUT_MS,
      socketTimeout: SMTP_TIMEOUT_MS,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    // With `pool=true` in the URL, idle connections emit errors too. Without a listener, that would end the process.
    this.smtp.on('error', () => undefined);
  }

  override async send({ id, to, ...mail }: Mail): Promise<void> {
    await this.smtp
      .sendMail({
        ...mail,
        // Passed as an object: a string would be parsed as a list of addresses.
        to: { name: '', address: to },
        from: this.settings.mailFrom,
        messageId: `<${id}@${this.domain}>`,
        // Prevents automatic replies (RFC 3834).
        headers: { 'Auto-Submitted': 'auto-generated' },
      })
      .catch((error: Error & { code?: string }) => {
        if (error.code !== 'ETLS') throw error;
        throw new Error('the server of SMTP_URL does not offer TLS, which SMTP_TLS requires', {
          cause: error,
        });
      });
  }
}

/** Whether TLS is required before the client logs in and sends mails: both contain secrets (ASVS 12.3.1). */
function wantsTls(url: string, { smtpTls }: Pick<Settings, 'smtpTls'>): boolean {
  return smtpTls === 'always' || (smtpTls === 'remote' && !isOnThisMachine(url));
}

/** The folder for mails that are stored as files. */
export function mailsFolder({ dataDir }: Settings): string {
  return join(dataDir, 'mails');
}

/**
 * For development: mails are stored as files, as text and as HTML, named in the log, and printed if a terminal is
 * present.
 */
export class FolderTransport extends MailTransport {
  constructor(
    private readonly folder: string,
    private readonly logger: Logger,
    /** Separate from the log, which must not contain tokens. */
    private readonly print?: (mail: string) => void,
  ) {
    super();
  }

  override async send({ id, to, subject, text, html }: Mail): Promise<void> {
    const file = join(this.folder, `${id}.txt`);
    const mail = `To: ${to}\nSubject: ${subject}\n\n${text}\n`;
    await this.write(join(this.folder, `${id}.html`), html);
    await this.write(file, mail); // last: the list of mails reads the text files
    this.logger.info({ subject, file }, 'a mail was written to a file; set SMTP_URL to send mails');
    this.print?.(mail);
  }

  /** Creates the folder if it is missing. */
  private async write(file: string, text: string): Promise<void> {
    const write = () => writeFile(file, text, { mode: 0o600 });
    await write().catch(async () => {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
      await write();
    });
  }
}
