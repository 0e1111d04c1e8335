import { Inject, Injectable } from '@nestjs/common';
import { keptModule } from '../common/kept-module.js';
import { invalidRequest } from '../common/problem.js';
import { SETTINGS_TOKEN } from '../config/config.module.js';
import type { Settings } from '../config/settings.js';
import type { User } from '../users/user.entity.js';
import { LONGEST_PASSWORD } from './auth.schemas.js';
import { BreachedPasswords } from './breached-passwords.js';

/** With its lists it takes 25 MB, which an instance without registrations saves. */
const guessable = keptModule('guessable', () => import('./guessable.js'));

/**
 * What a new password must be; what an old one is, is not asked again. No composition rules: length is what
 * counts, and that nobody would try it first (NIST SP 800-63B-4 3.1.1.2).
 */
@Injectable()
export class PasswordPolicy {
  private readonly productWords: string[];

  constructor(
    private readonly breached: BreachedPasswords,
    @Inject(SETTINGS_TOKEN) private readonly settings: Settings,
  ) {
    const { mailFrom, tokenIssuer, appUrl } = settings;
    const host = appUrl ? new URL(appUrl).hostname : '';
    this.productWords = [mailFrom.split('<')[0]!, tokenIssuer, host].flatMap(wordsOf);
  }

  /**
   * Cheapest question first.
   * @param path of the field that is told about
   * @throws Problem `request.invalid`; `auth.unavailable`, see {@link BreachedPasswords.has}
   */
  async require(
    password: string,
    path: string,
    { email, displayName }: { [Name in 'email' | 'displayName']?: User[Name] },
  ): Promise<void> {
    const refuse = (message: string) => invalidRequest([{ path, message }]);
    const { passwordMinLength } = this.settings;
    const forms = formsOf(password);
    if (forms.some((form) => visibleLengthOf(form) < passwordMinLength))
      throw refuse(`must have at least ${passwordMinLength} characters`);
    if (forms.some((form) => form.length > LONGEST_PASSWORD))
      throw refuse(`must have at most ${LONGEST_PASSWORD} characters`);
    const context = [...this.productWords, ...addressWords(email ?? ''), ...wordsOf(displayName ?? '')];
    const { weaknessOf } = await guessable();
    const weakness = weaknessOf(password, context);
    if (weakness) throw refuse(weakness);
    if (await this.breached.has(password))
      throw refuse('is known from a breach of another site: choose one that was never used');
  }
}

/**
 * The code points as they were typed and as they are hashed. One may be many after NFKC (18 for U+FDFA, a ligature), and many may be one
 * (a letter and its marks): neither count alone says how much was chosen.
 */
function formsOf(password: string): string[][] {
  return [password, password.normalize('NFKC')].map((form) => [...form]);
}

/** Without what nobody sees or types, such as zero-width spaces. */
function visibleLengthOf(characters: string[]): number {
  return characters.filter((character) => !/\p{Default_Ignorable_Code_Point}/u.test(character)).length;
}

/** The whole and its words. */
function wordsOf(name: string): string[] {
  return [name.trim(), ...name.split(/[^\p{L}\p{N}]+/u)].filter(Boolean);
}

function addressWords(email: string): string[] {
  const [local = '', domain = ''] = email.split('@');
  // Not the country or the like at the end of the domain: three letters that are in every other word.
  return [email, ...wordsOf(local), ...wordsOf(domain).slice(0, -1)];
}
