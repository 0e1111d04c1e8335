import type { z } from 'zod';

/** One claim of access tokens: its type, and where its value comes from. */
export interface ClaimDeclaration {
  /**
   * Validates the value in a token, in the cache and from the database. It must refuse `undefined` (use `nullable()`
   * for a value that may be absent) and must not transform.
   */
  schema: z.ZodType;
  /**
   * A SQL expression, in which `u` is the user's row: `u.plan`, or a subselect that gives one value. It is part of the
   * statements that read a session. Without it, tokens with the claim are accepted, but none is issued.
   */
  sql?: string;
}

/** The claims of the contract (RFC 9068 2.2), which no declaration may replace. */
export const STANDARD_CLAIMS = ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp', 'roles'] as const;

/** The declarations of `src/claims.ts`, by the name of the claim. */
export type ClaimDeclarations = Readonly<Record<string, ClaimDeclaration>> & {
  readonly [Name in (typeof STANDARD_CLAIMS)[number]]?: never;
};

type IssuedBy<D> = { [Name in keyof D]: D[Name] extends { sql: string } ? Name : never }[keyof D];
type ValueOf<Declaration> = Declaration extends { schema: infer Schema extends z.ZodType }
  ? z.output<Schema>
  : never;

/** The values of declared claims. A claim without `sql` may be absent. */
export type ClaimValues<D> = { readonly [Name in IssuedBy<D>]: ValueOf<D[Name]> } & {
  readonly [Name in Exclude<keyof D, IssuedBy<D>>]?: ValueOf<D[Name]>;
};
