import { describe, expect, it, jest } from '@jest/globals';
import { z } from 'zod';
import type { ClaimDeclarations, ClaimValues } from './claim-declarations.js';

async function declaring(CLAIMS: object) {
  jest.resetModules();
  jest.unstable_mockModule('../../claims.js', () => ({ CLAIMS }));
  return import('./declared-claims.js');
}

describe('the declarations of claims', () => {
  it('Nothing is declared by default, so tokens and statements are as without declarations', async () => {
    const { CLAIMS } = await import('../../claims.js');
    expect(CLAIMS).toEqual({});
    const { CLAIMS_SQL, DECLARES_CLAIMS, NO_CLAIMS, pickClaims, requireClaims } = await declaring(CLAIMS);
    expect({ CLAIMS_SQL, DECLARES_CLAIMS }).toEqual({ CLAIMS_SQL: null, DECLARES_CLAIMS: false });
    expect(pickClaims({ sub: 'x' })).toBe(NO_CLAIMS);
    expect(requireClaims(undefined)).toBe(NO_CLAIMS);
  });

  it('Declared values have the type of their schema; a claim without a source may be absent', () => {
    const declared = {
      plan: { schema: z.enum(['free', 'team']), sql: 'u.plan' },
      seats: { schema: z.int().nullable(), sql: 'u.seats' },
      coming: { schema: z.string() },
    } satisfies ClaimDeclarations;
    const values: ClaimValues<typeof declared> = { plan: 'team', seats: null };
    // @ts-expect-error -- not one of the declared values
    const wrong: typeof values = { plan: 'gold', seats: 1 };
    // @ts-expect-error -- seats is missing
    const partial: typeof values = { plan: 'free' };
    // @ts-expect-error -- a standard claim cannot be declared
    const standard = { roles: { schema: z.string() } } satisfies ClaimDeclarations;
    expect([values, wrong, partial, standard]).toHaveLength(4);
  });

  it.each<[string, object, RegExp]>([
    ['an optional schema', { plan: { schema: z.string().optional() } }, /accepts undefined/],
    ['a schema with a default', { plan: { schema: z.string().default('free') } }, /accepts undefined/],
    [
      'a schema that replaces wrong values',
      { plan: { schema: z.string().catch('free') } },
      /accepts undefined/,
    ],
    ['a schema of anything', { plan: { schema: z.unknown() } }, /accepts undefined/],
    ['a schema that transforms', { plan: { schema: z.string().transform(Number) } }, /JSON Schema/],
    ['a name with a quote', { "plan'": { schema: z.string() } }, /no name for a claim/],
    ['the name of every object', { ['__proto__']: { schema: z.string() } }, /no name for a claim/],
    ['a standard name', { sub: { schema: z.string() } }, /no name for a claim/],
  ])('A declaration with %s stops the boot', async (_, declarations, message) => {
    await expect(declaring(declarations)).rejects.toThrow(message);
  });
});
