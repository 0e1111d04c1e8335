import { defineScope } from '../../scopes.js';

/** Only keys of admins may have it: the feed contains the ids of users and sessions, and why they ended. */
export const REVOCATIONS_READ = defineScope('revocations:read', {
  description: 'Follow the revocation feed, for services that verify access tokens',
  role: 'admin',
});
