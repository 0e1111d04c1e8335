import { z } from 'zod';
import { Registry, type Defined } from './platform/runtime/registry.js';
import type { Role } from './roles.js';

/** The options of a scope. */
export interface ScopeOptions {
  /** The permission in words for people. The list of scopes shows it. */
  description: string;
  /**
   * Only users with this role may create keys with the scope. A key of a user who has lost the role no longer has the
   * scope.
   */
  role?: Role;
}

/** The scopes of all features: what an API key may do. A route with any other scope stops the boot. */
export const SCOPES = new Registry<ScopeOptions>({
  call: 'defineScope',
  names: /^[a-z][a-z0-9_]{0,31}(:[a-z][a-z0-9_]{0,31}){1,2}$/,
});

/** A scope that {@link defineScope} has returned. */
export type Scope = Defined<'scope'>;

/**
 * Defines a scope, for `@AllowApiKey()`. Call it where a module loads, not in a function. A duplicate name stops the
 * boot.
 *
 * @param name such as `payments:write`. Stored keys keep it: a key whose scope no longer exists loses only that scope
 */
export function defineScope(name: string, options: ScopeOptions): Scope {
  return SCOPES.define(name, options) as Scope;
}

/** The schema of a scope: a text in documents, because clients must not depend on the features of one service. */
export const scope = z
  .string()
  .max(98)
  .refine((name) => SCOPES.has(name), 'is not a scope of this service')
  .transform((name) => name as Scope);

/** Whether a user with these roles may have the scope. */
export function mayHave(name: Scope, roles: readonly Role[]): boolean {
  const { role } = SCOPES.get(name);
  return role === undefined || roles.includes(role);
}
