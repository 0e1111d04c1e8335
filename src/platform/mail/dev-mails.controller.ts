import { Controller, Get, Header, Headers, Param, Res, VERSION_NEUTRAL } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Public } from '../../auth/guards/public.decorator.js';
import { Problem } from '../api/problem.js';
import { Settings } from '../settings/settings.js';
import { mailsFolder } from './mail-transport.js';
import { escape } from './content/mail-layout.js';

const MAX_SHOWN = 50;
const KEPT = /^(\d+)-(\d+)\.txt$/;

/** Shows the mail as a mail program would: it runs no script, loads nothing, and sends no form. */
const MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";

interface KeptMail {
  /** The path of the mail as HTML. */
  html: string;
  at: string;
  to: string;
  subject: string;
  text: string;
}

/** Only in development: shows the mails that were stored as files, newest first. */
@ApiExcludeController()
@Controller({ path: 'dev/mails', version: VERSION_NEUTRAL })
@Public()
export class DevMailsController {
  constructor(private readonly settings: Settings) {}

  @Get()
  async list(@Headers('accept') accept = '', @Res({ passthrough: true }) reply: FastifyReply) {
    const items = await this.newest();
    if (!accept.includes('text/html')) return { items };
    void reply.type('text/html; charset=utf-8');
    return page(items, this.settings.smtpUrl !== undefined);
  }

  @Get(':id/html')
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', MAIL_POLICY)
  async html(@Param('id') id: string): Promise<string> {
    if (!KEPT.test(`${id}.txt`)) throw new Problem('resource.not_found');
    return readFile(join(mailsFolder(this.settings), `${id}.html`), 'utf8').catch(() => {
      throw new Problem('resource.not_found');
    });
  }

  private async newest(): Promise<KeptMail[]> {
    const folder = mailsFolder(this.settings);
    const files = await readdir(folder).catch(() => []);
    const kept = files.flatMap((file) => {
      const [, at, number] = KEPT.exec(file) ?? [];
      return at ? [{ file, at: Number(at), number: Number(number) }] : [];
    });
    kept.sort((a, b) => b.at - a.at || b.number - a.number);
    return Promise.all(
      kept
        .slice(0, MAX_SHOWN)
        .map(async ({ file, at }) => parse(file, at, await readFile(join(folder, file), 'utf8'))),
    );
  }
}

/** Parses the format of `FolderTransport`. */
function parse(file: string, at: number, content: string): KeptMail {
  const [, to = '', subject = '', text = ''] = /^To: (.*)\nSubject: (.*)\n\n([^]*)\n$/.exec(content) ?? [];
  const html = `/dev/mails/${file.replace('.txt', '')}/html`;
  return { html, at: new Date(at).toISOString(), to, subject, text };
}

function page(items: KeptMail[], isSent: boolean): string {
  const none = isSent ? 'Mails are sent to the server of SMTP_URL.' : 'No mails yet.';
  const mails = items.map(
    ({ html, at, to, subject, text }) =>
      `<h2>${escape(subject)}</h2>\n<p>${escape(at)} to ${escape(to)}<br><a href="${html}">as HTML</a></p>\n<pre>${linked(escape(text))}</pre>`,
  );
  const body = mails.join('\n<hr>\n') || `<p>${none}</p>`;
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Mails</title>\n<h1>Mails</h1>\n${body}\n</html>\n`;
}

const linked = (html: string): string => html.replace(/^https?:\/\/\S+$/gm, '<a href="$&">$&</a>');
