/** The entrance of the package. `README.md` has a quick start, `docs/guides/verifiers.md` the choices. */
import type { VerifierOptions } from './options.js';
import { Verifier } from './verifier.js';

export type { ClaimCheck } from './access-token.js';
export type { Principal } from './access-tokens.js';
export type { Ended } from './denial-list.js';
export type { FeedEntry } from './feed/entry.js';
export { Refusal, type RefusalCode } from './refusal.js';
export { createRelay, type Relay, type RelayOptions } from './relay/relay.js';
export type { Time } from './time.js';
export { sidecar } from './sidecar.js';
export type { BlindPolicy, CheckedRequest, VerifierOptions, VerifierState } from './options.js';
export { Verifier } from './verifier.js';

/**
 * Starts to follow the revocation feed.
 *
 * ```ts
 * const verifier = createVerifier({
 *   url: 'https://api.example.com',
 *   issuer: 'acme',
 *   audience: 'acme',
 *   apiKey: process.env.VERIFIER_API_KEY!,
 *   whenBlind: 'deny',
 * });
 * await verifier.ready();
 * ```
 */
export function createVerifier(options: VerifierOptions): Verifier {
  return new Verifier(options);
}
