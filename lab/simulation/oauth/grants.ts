import type { SimulatedPart } from '../part.js';
import { GrantActors } from './grant-actors.js';
import { installGrants } from './grant-services.js';
import { grantStatements } from './grant-statements.js';

/** The OAuth provider: its grants. */
export const GRANTS: SimulatedPart = {
  statements: grantStatements,
  install: installGrants,
  share: 0.5,
  actors: (schedule) => new GrantActors(schedule),
  moves: 30,
  steps: 70,
};
