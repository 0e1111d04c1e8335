import { defineRole } from '../../src/roles.js';
import { defineScope } from '../../src/scopes.js';

/** A role that users of the simulation lose and get again. */
export const OPERATOR = defineRole('operator');
/** Every user may have it. */
export const READ = defineScope('reports:read', { description: 'Read reports' });
/** It needs the role. */
export const OPERATE = defineScope('reports:run', { description: 'Run reports', role: OPERATOR });
