import { expect } from '@jest/globals';
import type { Example, Recipes, Scene } from '../../../test/support/request-examples.js';

const unknownInteraction = () => ({ parameters: { uid: 'unknown-'.padEnd(43, '0') } });

/** An app to which the owner has given access in a browser. */
async function withGrant({ owner }: Scene): Promise<Example> {
  const browser = owner.copy();
  const query = new URLSearchParams({
    client_id: 'notes',
    redirect_uri: 'https://notes.example/callback',
    response_type: 'code',
    scope: 'openid',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  });
  const { headers } = await browser.get(`/oauth/authorize?${query.toString()}`);
  const allowed = await browser.post(
    `${new URL(String(headers['location']), 'http://x').pathname}/allow`,
    {},
  );
  expect(allowed).toMatchObject({ status: 200 });
  const { body } = await owner.copy().get('/v1/grants');
  return { parameters: { id: body.items[0].id as string } };
}

/** Requests that succeed, for the tests of every route. */
export const RECIPES: Recipes = {
  'DELETE /v1/grants/{id}': withGrant,
  'GET /v1/admin/users/{id}/grants': ({ owner }) => ({ parameters: { id: owner.userId } }),
  'DELETE /v1/admin/grants/{id}': withGrant,
  // Only the browser that has begun an authorization may decide: `oauth.spec.ts`.
  'GET /oauth/interaction/{uid}/request': { cook: unknownInteraction, answers: 'resource.not_found' },
  'POST /oauth/interaction/{uid}/allow': { cook: unknownInteraction, answers: 'resource.not_found' },
  'POST /oauth/interaction/{uid}/deny': { cook: unknownInteraction, answers: 'resource.not_found' },
};
