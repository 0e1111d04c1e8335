/** All roles. Add yours here; a route with an unknown role stops the boot. */
export const ROLES = ['user', 'admin'] as const;

export type Role = (typeof ROLES)[number];
