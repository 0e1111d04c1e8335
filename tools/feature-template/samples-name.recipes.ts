import type { Recipes, Scene } from '../../test/support/request-examples.js';

const body = { title: 'A title' };

async function withSample({ owner }: Scene) {
  const { body: created } = await owner.copy().post('/v1/samples-name', body);
  return { parameters: { id: created.id as string } };
}

/** Requests that succeed, for the tests of every route. */
export const RECIPES: Recipes = {
  'POST /v1/samples-name': () => ({ body }),
  'GET /v1/samples-name/{id}': withSample,
  'PUT /v1/samples-name/{id}': async (scene) => ({ ...(await withSample(scene)), body }),
  'DELETE /v1/samples-name/{id}': withSample,
};
