import { randomUUID } from 'node:crypto';
import type { Recipes, Scene } from '../../test/support/request-examples.js';

const body = { title: 'A title' };

async function withSample({ owner }: Scene) {
  const { body: created } = await owner.copy().post('/v1/samples-name', body);
  return { parameters: { id: created.id as string } };
}

/** Requests that succeed, for the tests of every route. */
export const RECIPES: Recipes = {
  'POST /v1/samples-name': () => ({ body }),
  // Callers without a session read as well, and cannot create one. `samples-name.spec.ts` reads one.
  'GET /v1/samples-name/{id}': {
    cook: () => ({ parameters: { id: randomUUID() } }),
    answers: 'resource.not_found',
  },
  'PUT /v1/samples-name/{id}': async (scene) => ({ ...(await withSample(scene)), body }),
  'DELETE /v1/samples-name/{id}': withSample,
};
