import { z } from 'zod';
import { CLAIMS } from '../../claims.js';
import { STANDARD_CLAIMS, type ClaimDeclaration, type ClaimValues } from './claim-declarations.js';

/** The values of the claims that `src/claims.ts` declares. */
export type Claims = ClaimValues<typeof CLAIMS>;

const NAME = /^[A-Za-z]\w{0,31}$/;
const DECLARED = Object.entries<ClaimDeclaration>(CLAIMS);
const ISSUED = DECLARED.filter(([, { sql }]) => sql !== undefined);

for (const [name, { schema }] of DECLARED) requireUsable(name, schema);

/** False by default: then tokens, the cache and SQL statements are as without this module. */
export const DECLARES_CLAIMS = DECLARED.length > 0;
/** The claims of a caller without any. */
export const NO_CLAIMS = Object.freeze({}) as Claims;

/** The schemas of all declared claims. A token of the release before the declaration has none of them. */
export const OPTIONAL_CLAIMS = Object.fromEntries(
  DECLARED.map(([name, { schema }]) => [name, schema.optional()]),
);

/** The declared claims, for OpenAPI. */
export const ClaimsView = z.object(
  Object.fromEntries(DECLARED.map(([name, { schema, sql }]) => [name, sql ? schema : schema.optional()])),
);

/** An expression for `select … from users u`: an object of all issued claims. Null if there are none. */
export const CLAIMS_SQL =
  ISSUED.length > 0
    ? `json_build_object(${ISSUED.map(([name, { sql }]) => `'${name}', (${sql})`).join()})`
    : null;

const IssuedClaims = z.strictObject(Object.fromEntries(ISSUED.map(([name, { schema }]) => [name, schema])));

/** The declared claims among all claims of a token. It allocates nothing if none is declared. */
export function pickClaims(token: object): Claims {
  if (!DECLARES_CLAIMS) return NO_CLAIMS;
  return Object.fromEntries(
    Object.entries(token).filter(([name]) => DECLARED.some(([declared]) => declared === name)),
  ) as Claims;
}

/** Whether a token lacks a claim that this release issues. */
export function lacksClaims(token: object): boolean {
  return ISSUED.some(([name]) => !Object.hasOwn(token, name));
}

/** @returns null if a value does not fit its schema, or if the claims are not exactly the issued ones */
export function parseClaims(values: unknown): Claims | null {
  const parsed = IssuedClaims.safeParse(values);
  return parsed.success ? (parsed.data as Claims) : null;
}

/**
 * Checks values that the database gave, before a client or a route gets them.
 *
 * @throws Error that names the claims whose value does not fit
 */
export function requireClaims(values: unknown): Claims {
  if (!CLAIMS_SQL) return NO_CLAIMS;
  const parsed = IssuedClaims.safeParse(values);
  if (parsed.success) return parsed.data as Claims;
  const names = new Set(parsed.error.issues.map(({ path }) => String(path[0])));
  throw new Error(`The database gave a value that src/claims.ts does not allow: ${[...names].join(', ')}`);
}

/** A schema that accepts `undefined` would accept a token without the claim; one that transforms, other values. */
function requireUsable(name: string, schema: z.ZodType): void {
  if (!NAME.test(name) || STANDARD_CLAIMS.some((standard) => standard === name))
    throw new Error(`src/claims.ts: "${name}" is no name for a claim`);
  if (schema.safeParse(undefined).success)
    throw new Error(`src/claims.ts: the schema of "${name}" accepts undefined; use nullable()`);
  try {
    z.toJSONSchema(schema);
  } catch (cause) {
    throw new Error(`src/claims.ts: the schema of "${name}" has no JSON Schema`, { cause });
  }
}
