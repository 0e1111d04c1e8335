/** The parts of the simulation for optional modules, one line each. A bundler must see them, so no search finds them. */
export { GRANTS } from './oauth/grants.js';
