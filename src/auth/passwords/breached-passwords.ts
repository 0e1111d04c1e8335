import { Inject, Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { LOGGER, type Logger } from '../../platform/logging/logger.js';
import { Problem } from '../../platform/api/problem.js';
import { Settings } from '../../platform/settings/settings.js';
import { PRODUCT } from '../../product.js';

const PREFIX_LENGTH = 5;
/** About 1,000 lines of 40 characters, plus padding. */
const MAX_ANSWER_BYTES = 500_000;

/**
 * Checks whether a password is part of a known breach, by a query to a range service (`BREACHED_PASSWORDS_URL`). Only
 * five hex digits of the SHA-1 leave this server; about one in a million passwords shares them. The service answers
 * with all hashes that begin so, and they are compared here.
 */
@Injectable()
export class BreachedPasswords {
  constructor(
    private readonly settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * @returns whether the password is known from a breach
   * @throws Problem `auth.unavailable` if the service is down and `BREACHED_PASSWORDS_WHEN_DOWN` says so
   */
  async has(password: string): Promise<boolean> {
    const { breachedPasswordsUrl, breachedPasswordsWhenDown } = this.settings;
    if (!breachedPasswordsUrl) return false;
    const digest = createHash('sha1').update(password.normalize('NFKC')).digest('hex').toUpperCase();
    try {
      const range = await this.ask(breachedPasswordsUrl, digest.slice(0, PREFIX_LENGTH));
      return isListed(range, digest.slice(PREFIX_LENGTH));
    } catch (error) {
      this.logger.warn({ err: error }, 'the service of BREACHED_PASSWORDS_URL does not answer');
      if (breachedPasswordsWhenDown === 'refuse') throw new Problem('auth.unavailable', { cause: error });
      return false;
    }
  }

  private async ask(base: string, prefix: string): Promise<string> {
    const answer = await fetch(`${base.replace(/\/+$/, '')}/${prefix}`, {
      // Padding hides the length of the answer from an observer of the network.
      headers: { 'add-padding': 'true', 'user-agent': PRODUCT.slug, accept: 'text/plain' },
      redirect: 'error',
      signal: AbortSignal.timeout(this.settings.breachedPasswordsPatience),
    });
    if (answer.status !== 200) throw new Error(`status ${answer.status}`);
    let text = '';
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.length > MAX_ANSWER_BYTES) throw new Error('the answer is too large');
    }
    return text;
  }
}

/** Lines of `suffix:count`; padding has a count of 0. */
function isListed(range: string, suffix: string): boolean {
  return range.split(/\r?\n/).some((line) => {
    const [listed, count] = line.trim().split(':');
    return listed?.toUpperCase() === suffix && Number(count) > 0;
  });
}
