import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { z } from 'zod';
import type { TestApp } from './support/app.js';
import type { Client } from './support/client.js';

/** The fields of an application. */
@Entity('profiles')
class UserProfile {
  @PrimaryColumn({ type: 'uuid', name: 'user_id' })
  userId: string;

  @Column({ type: 'text', nullable: true })
  company: string | null;

  @Column({ type: 'boolean', name: 'wants_news', nullable: true })
  wantsNews: boolean | null;
}
jest.unstable_mockModule('../src/users/profile/profile.entity.js', () => ({ UserProfile }));
jest.unstable_mockModule('../src/users/profile/profile.fields.js', () => ({
  PROFILE_FIELDS: { company: z.string().max(10), wantsNews: z.boolean() },
}));

const { ALICE, BOB, PASSWORD, resetStores, startApp } = await import('./support/app.js');
const { documentOf } = await import('./support/operations.js');
const { connect, disconnect, untilBlockedBy } = await import('./support/waiting.js');

/** Real: PostgreSQL and, where available, Redis. */
describe('the fields of a profile that belong to the application', () => {
  let app: TestApp;
  let alice: Client;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ env: { API_DOCS: 'true' } });
    await app.query('alter table profiles add column company text, add column wants_news boolean');
  });
  afterAll(async () => {
    await app.query('alter table profiles drop column company, drop column wants_news');
    await app.close();
  });
  beforeEach(async () => {
    await app.query('delete from profiles');
    alice = app.client();
    await alice.login(ALICE.email, PASSWORD);
  });
  afterEach(disconnect);

  const me = async (client = alice) => (await client.get('/v1/users/me')).body;
  const count = async () => (await app.query('select from profiles')).length;

  it('A field is null until its user sets it, and a change leaves the other fields and other users as they are', async () => {
    const bob = app.client();
    await bob.login(BOB.email, PASSWORD);
    expect(await me()).toMatchObject({ id: ALICE.id, company: null, wantsNews: null });
    const answer = await alice.patch('/v1/users/me', { company: 'ACME', displayName: 'Al' });
    expect(answer).toMatchObject({
      status: 200,
      body: { displayName: 'Al', company: 'ACME', wantsNews: null },
    });
    await alice.patch('/v1/users/me', { wantsNews: true });
    expect(await me()).toMatchObject({ displayName: 'Al', company: 'ACME', wantsNews: true });
    await alice.patch('/v1/users/me', { company: null });
    expect(await me()).toMatchObject({ displayName: 'Al', company: null, wantsNews: true });
    expect(await me(bob)).toMatchObject({ id: BOB.id, company: null, wantsNews: null });
  });

  it.each([
    ['the schema refuses', { company: 'more than ten' }],
    ['has another type', { wantsNews: 'yes' }],
    ['belongs to no field', { budget: 1 }],
    ['belongs to the key', { userId: BOB.id, company: 'ACME' }],
    ['belongs to the account', { roles: ['admin'] }],
  ])('A change with a value that %s is refused whole', async (_, changes) => {
    const answer = await alice.patch('/v1/users/me', { displayName: 'Mallory', ...changes });
    expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid' } });
    expect((await me()).displayName).not.toBe('Mallory');
    expect(await count()).toBe(0);
  });

  it('The OpenAPI document describes the fields in the profile of the caller, and in no other profile', async () => {
    const { components, operations } = await documentOf(app);
    const { properties, required } = components.schemas['OwnProfile']!;
    expect(properties).toMatchObject({
      company: { type: 'string', nullable: true, maxLength: 10 },
      wantsNews: { type: 'boolean', nullable: true },
    });
    expect(required).toEqual(expect.arrayContaining(['id', 'company', 'wantsNews']));
    expect(components.schemas['Profile']!.properties).not.toHaveProperty('company');
    const patch = operations.find(({ name }) => name === 'PATCH /v1/users/me')!;
    const { schema } = patch.requestBody!.content['application/json'];
    expect(Object.keys(schema.properties!).sort()).toEqual(['company', 'displayName', 'wantsNews']);
    expect(schema.required ?? []).toEqual([]);
  });

  it('The deletion of an account deletes the fields, and a change that waits for it writes nothing', async () => {
    const user = { email: 'gone@example.com', password: 'a long enough passphrase 7' };
    await app.query(
      `insert into users (id, email, password_hash, roles, email_verified_at, created_at)
       select gen_random_uuid(), $1, password_hash, roles, now(), now() from users where id = $2`,
      [user.email, ALICE.id],
    );
    const gone = app.client();
    await gone.login(user.email, PASSWORD);
    await gone.patch('/v1/users/me', { company: 'ACME' });
    const late = gone.copy();

    const holder = await connect();
    await holder.query('begin');
    await holder.query('select from users where email = $1 for no key update', [user.email]);
    const change = late.patch('/v1/users/me', { company: 'LATE' });
    await Promise.race([change, untilBlockedBy(holder)]);
    await holder.query('delete from profiles');
    await holder.query('update users set email = null, deleted_at = now() where email = $1', [user.email]);
    await holder.query('commit');
    expect((await change).status).toBe(404);
    expect(await count()).toBe(0);

    await alice.patch('/v1/users/me', { company: 'ACME' });
    expect(await count()).toBe(1);
    expect((await alice.delete('/v1/users/me')).status).toBe(204);
    expect(await count()).toBe(0);
    await resetStores();
  });
});
