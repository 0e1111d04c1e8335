import { Injectable } from '@nestjs/common';
import { Settings } from '../settings/settings.js';
import { MailedTokens } from './mailed-tokens.js';
import { LINKS, type LinkedTemplate, type TemplateName } from './templates.js';

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
   */
  of(template: TemplateName, { tokenId }: { tokenId?: string }, now: number): string {
    if (!isLinked(template) || tokenId === undefined) return '';
    const { purpose, page } = LINKS[template];
    return `${this.base}/${page}#token=${this.tokens.tokenOf(purpose, tokenId, now)}`;
  }

  private get base(): string {
    return this.settings.appUrl?.replace(/\/+$/, '') ?? `http://localhost:${this.settings.port}`;
  }
}

function isLinked(template: TemplateName): template is LinkedTemplate {
  return template in LINKS;
}
