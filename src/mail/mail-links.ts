import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import { MailedTokens } from './mailed-tokens.js';
import { LINKS, type LinkedTemplate, type TemplateName } from './templates.js';

/** Where the links in mails lead: to pages under `APP_URL`, whatever host a request was sent to (OWASP: forgot password). */
@Injectable()
export class MailLinks {
  constructor(
    private readonly tokens: MailedTokens,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {}

  /** The token is in the fragment, which browsers send to nobody: no log and no `Referer` has it. */
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
