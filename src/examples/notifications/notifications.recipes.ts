import type { Recipes } from '../../../test/support/request-examples.js';

/** Requests that succeed, for the tests of every route. */
export const RECIPES: Recipes = {
  'GET /v1/notifications': () => ({}),
};
