import { Injectable } from '@nestjs/common';
import type { Defined } from '../runtime/registry.js';
import { Settings } from '../settings/settings.js';
import { MailedTokens } from './mailed-tokens.js';
import { MAILS } from './define-mail.js';

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

  /**
   * The link contains the token in its fragment, which browsers never send. So it appears in no log and no `Referer`.
   *
   * @returns empty for a mail without a link
   */
  of(template: Defined<'mail'>, { tokenId }: { tokenId?: string }, now: number): string {
    const { link } = MAILS.get(template);
    if (!link) return '';
    const page = `${this.base}/${link.page}`;
    if (!link.purpose) return page;
    return tokenId === undefined ? '' : `${page}#token=${this.tokens.tokenOf(link.purpose, tokenId, now)}`;
  }

  private get base(): string {
    return this.settings.appUrl?.replace(/\/+$/, '') ?? `http://localhost:${this.settings.port}`;
  }
}
