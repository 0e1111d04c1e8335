import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DemoRows } from '#core';
import { ADMIN, ALICE, BOB, resetStores, startApp, type TestApp } from '../test/support/app.js';
import { loggedIn } from '../test/support/test-users.js';
import { seedRows } from './seeds.js';

/** Real: PostgreSQL, the application over HTTP. */
describe('the demo rows of a feature', () => {
  let app: TestApp;
  const seeded: string[] = [];

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ features: [] });
    app.get(DemoRows).register(async (tx, { id, email }) => {
      seeded.push(email);
      await tx.query('insert into profiles (user_id) values ($1) on conflict do nothing', [id]);
    });
  });
  afterAll(() => app.close());

  const seed = async () => {
    await seedRows(app.app);
    return seeded.splice(0).sort();
  };
  const countRows = async () => (await app.query('select user_id from profiles')).length;

  it('are added for each demo user, and a second start may do it again', async () => {
    expect(await seed()).toEqual([ADMIN, ALICE, BOB].map(({ email }) => email).sort());
    expect(await seed()).toHaveLength(3);
    expect(await countRows()).toBe(3);
  });

  it('are not added when a hook of another feature fails', async () => {
    await app.query('delete from profiles');
    const [rows, failure] = [app.get(DemoRows), new Error('a wrong column')];
    let fails = true;
    rows.register((_, { id }) => (fails && id === BOB.id ? Promise.reject(failure) : Promise.resolve()));
    await expect(seedRows(app.app)).rejects.toBe(failure);
    expect(await countRows()).toBe(0);
    fails = false;
    seeded.splice(0);
  });

  it('are not added for a demo user who has deleted the account', async () => {
    const bob = await loggedIn(app, BOB);
    expect((await bob.delete('/v1/users/me')).status).toBe(204);
    expect(await seed()).toEqual([ADMIN.email, ALICE.email]);
  });
});
