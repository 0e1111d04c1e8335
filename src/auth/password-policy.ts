import { invalidRequest } from '../common/problem.js';

/**
 * What a new password must be; what an old one is, is not asked again. No composition rules: length
 * is what counts (NIST SP 800-63B-4 3.1.1.2).
 * @throws Problem `request.invalid`, `path` naming the field
 */
export function requireGoodPassword(password: string, minLength: number, path: string): void {
  if ([...password.normalize('NFKC')].length < minLength) {
    throw invalidRequest([{ path, message: `must have at least ${minLength} characters` }]);
  }
}
