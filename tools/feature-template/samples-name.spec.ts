import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ALICE, BOB, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { createUser, loggedIn, type Person } from '../../test/support/test-users.js';

const SAMPLES = '/v1/samples-name';

/** Real: PostgreSQL, the application over HTTP. */
describe('a sample text', () => {
  let app: TestApp;
  let alice: Person;

  beforeAll(async () => {
    await resetStores();
    app = await startApp();
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    alice = await loggedIn(app, ALICE);
  });

  const create = async (person: Person, title: string) => {
    const answer = await person.post(SAMPLES, { title });
    expect(answer).toMatchObject({ status: 201, body: { title } });
    return `${SAMPLES}/${answer.body.id}`;
  };

  it('is listed, read, changed and deleted by its owner', async () => {
    const sample = await create(alice, 'First');
    expect((await alice.get(SAMPLES)).body.items).toMatchObject([{ title: 'First' }]);
    expect(await alice.put(sample, { title: 'Second' })).toMatchObject({
      status: 200,
      body: { title: 'Second' },
    });
    expect(await alice.get(sample)).toMatchObject({ status: 200, body: { title: 'Second' } });
    expect((await alice.delete(sample)).status).toBe(204);
    expect((await alice.get(sample)).status).toBe(404);
  });

  it('of another user is not found, and stays as it is', async () => {
    const sample = await create(alice, 'Mine');
    const bob = await loggedIn(app, BOB);
    expect((await bob.get(SAMPLES)).body.items).toEqual([]);
    expect((await bob.get(sample)).status).toBe(404);
    expect((await bob.put(sample, { title: 'Yours' })).status).toBe(404);
    expect((await bob.delete(sample)).status).toBe(404);
    expect(await alice.get(sample)).toMatchObject({ status: 200, body: { title: 'Mine' } });
  });

  it('is neither created, changed nor deleted after the session has ended', async () => {
    const sample = await create(alice, 'Mine');
    await alice.copy().post('/v1/auth/logout');
    for (const late of [
      () => alice.post(SAMPLES, { title: 'Late' }),
      () => alice.put(sample, { title: 'Late' }),
      () => alice.delete(sample),
    ])
      expect(await late()).toMatchObject({ status: 401, body: { code: 'auth.session_ended' } });
  });

  it('is deleted with the account of its user', async () => {
    const user = await loggedIn(app, await createUser(app));
    await create(user, 'Mine');
    const countRows = async () =>
      (await app.query('select id from samples_name where user_id = $1', [user.userId])).length;
    expect(await countRows()).toBe(1);
    expect((await user.delete('/v1/users/me')).status).toBe(204);
    expect(await countRows()).toBe(0);
  });
});
