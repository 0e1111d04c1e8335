/** Every role there is. Add yours here; a route that names another one stops the boot. */
export const ROLES = ['user', 'admin'] as const;

export type Role = (typeof ROLES)[number];
