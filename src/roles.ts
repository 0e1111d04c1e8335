import { z } from 'zod';
import { Registry, type Defined } from './platform/runtime/registry.js';

/** The options of a role. */
export interface RoleOptions {
  /**
   * For roles that can harm other users: `ADMIN_MFA` and the other `ADMIN_…` settings apply to their holders, and the
   * last holder cannot lose the role.
   */
  privileged?: boolean;
}

/** `user` is the role of every new account. `admin` may call the admin API. */
const CORE = { user: {}, admin: { privileged: true } } as const satisfies Record<string, RoleOptions>;

/** The roles of the core and of all features. A route with any other role stops the boot. */
export const ROLES = new Registry<RoleOptions>({ call: 'defineRole', names: /^[a-z][a-z0-9_]{0,31}$/ }, CORE);

/** A role of the core, or one that {@link defineRole} has returned. */
export type Role = keyof typeof CORE | Defined<'role'>;

const PRIVILEGED = new Set(ROLES.names().filter((name) => ROLES.get(name).privileged));

/**
 * Defines a role of a feature, for `@Roles()` and `PUT /v1/admin/users/{id}/roles`. Call it where a module loads, not
 * in a function. A duplicate name stops the boot.
 *
 * @param name in access tokens and in the database
 */
export function defineRole(name: string, options: RoleOptions = {}): Defined<'role'> {
  if (options.privileged) PRIVILEGED.add(name);
  return ROLES.define(name, options) as Defined<'role'>;
}

/** The privileged roles. They are constant after the boot. */
export function privilegedRoles(): Role[] {
  return [...PRIVILEGED] as Role[];
}

/** Whether one of the roles is privileged. */
export function isPrivileged(roles: readonly Role[]): boolean {
  for (const role of roles) if (PRIVILEGED.has(role)) return true;
  return false;
}

/** The schema of a role. It is lazy, because features define roles after schemas have been made. */
export const role = z.lazy(() => z.enum(ROLES.names()) as unknown as z.ZodType<Role, Role>);
