import type { ClaimDeclarations } from './platform/claims/claim-declarations.js';

/**
 * The claims of access tokens beside the standard ones. Declare yours here; see `docs/guides/claims.md`.
 *
 * ```ts
 * export const CLAIMS = {
 *   plan: { schema: z.enum(['free', 'team']), sql: 'u.plan' },
 * } satisfies ClaimDeclarations;
 * ```
 */
export const CLAIMS = {} satisfies ClaimDeclarations;
