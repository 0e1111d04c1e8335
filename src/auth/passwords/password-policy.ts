import { Injectable } from '@nestjs/common';
import { keptModule } from '../../platform/performance/kept-module.js';
import { invalidRequest } from '../../platform/api/problem.js';
import { Settings } from '../../platform/settings/settings.js';
import type { User } from '../../users/user.entity.js';
import { MAX_PASSWORD_LENGTH } from '../login/auth.schemas.js';
import { BreachedPasswords } from './breached-passwords.js';

/** Loaded on first use: with its lists it takes 25 MB, which an instance without registrations saves. */
const guessable = keptModule('password-strength', () => import('./password-strength.js'));

/**
 * The rules for new passwords; an existing password is not checked again. There are no composition rules. A password
 * must be long enough, and must not be easy to guess (NIST SP 800-63B-4 3.1.1.2).
 */
@Injectable()
export class PasswordPolicy {
  private readonly productWords: string[];

  constructor(
    private readonly breached: BreachedPasswords,
    private readonly settings: Settings,
  ) {
    const { mailFrom, tokenIssuer, appUrl } = settings;
    const host = appUrl ? new URL(appUrl).hostname : '';
    this.productWords = [mailFrom.split('<')[0]!, tokenIssuer, host].flatMap(wordsOf);
  }

  /**
   * Checks a new password, cheapest check first.
   * @param path of the field in the error
   * @throws Problem `request.invalid`
   * @throws Problem `auth.unavailable`, see {@link BreachedPasswords.has}
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
    if (forms.some((form) => form.length > MAX_PASSWORD_LENGTH))
      throw refuse(`must have at most ${MAX_PASSWORD_LENGTH} characters`);
    const context = [...this.productWords, ...addressWords(email ?? ''), ...wordsOf(displayName ?? '')];
    const { findWeakness: weaknessOf } = await guessable();
    const weakness = weaknessOf(password, context);
    if (weakness) throw refuse(weakness);
    if (await this.breached.has(password))
      throw refuse('is known from a data breach of another site: choose one that was never used');
  }
}

/**
 * The code points as typed and as hashed. NFKC can turn one into many (18 for U+FDFA, a ligature) and many into one
 * (a letter and its marks). So neither count alone measures how much the user chose.
 */
function formsOf(password: string): string[][] {
  return [password, password.normalize('NFKC')].map((form) => [...form]);
}

/** The length without invisible characters, such as zero-width spaces. */
function visibleLengthOf(characters: string[]): number {
  return characters.filter((character) => !/\p{Default_Ignorable_Code_Point}/u.test(character)).length;
}

/** The whole name and its words. */
function wordsOf(name: string): string[] {
  return [name.trim(), ...name.split(/[^\p{L}\p{N}]+/u)].filter(Boolean);
}

function addressWords(email: string): string[] {
  const [local = '', domain = ''] = email.split('@');
  // Without the top-level domain: its two or three letters occur in many words.
  return [email, ...wordsOf(local), ...wordsOf(domain).slice(0, -1)];
}
