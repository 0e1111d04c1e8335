import { Injectable } from '@nestjs/common';
import type { Defined } from '../runtime/registry.js';
import { Settings } from '../settings/settings.js';
import { MailedTokens } from './mailed-tokens.js';
import { MAILS, type MailLink } from './define-mail.js';

/**
 * Builds the links in mails. They lead to pages under `APP_URL`, regardless of the host of the request (OWASP: forgot
 * password).
 */
@Injectable()
export class MailLinks {
  constructor(
    private readonly tokens: MailedTokens,
    private readonly settings: Settings,
  ) {}

  /** @returns empty for a mail without a link */
  of(template: Defined<'mail'>, { tokenId }: { tokenId?: string }, now: number): string {
    const { link } = MAILS.get(template);
    if (!link || (link.purpose && tokenId === undefined)) return '';
    return this.to(link, tokenId, now);
  }

  /**
   * A link to a page. It contains the token in its fragment, which browsers never send. So the token appears in no log
   * and no `Referer`.
   */
  to({ page, purpose }: MailLink, tokenId: string | undefined, now: number): string {
    const url = `${this.base}/${page}`;
    if (!purpose || tokenId === undefined) return url;
    return `${url}#token=${this.tokens.tokenOf(purpose, tokenId, now)}`;
  }

  private get base(): string {
    return this.settings.appUrl?.replace(/\/+$/, '') ?? `http://localhost:${this.settings.port}`;
  }
}
