import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadKeys } from '../../src/platform/keys/key-file.js';
import { loadSettings } from '../../src/platform/settings/load-settings.js';
import { RevocationService } from '../../src/sessions/revocation/revocation.service.js';
import { ALICE, resetStores, startApp, type TestApp } from '../../test/support/app.js';
import { runCommand } from '../../test/support/command.js';

/** Real: the command as a process, PostgreSQL, Redis where available, an instance with the key file of the command. */

const { TEST_DATABASE_URL: DATABASE_URL, TEST_REDIS_URL: REDIS_URL } = process.env;
const PASSWORD = 'a password that the admin chooses';
const REFUSED = { status: 400, body: { code: 'request.invalid' } };

describe('admin:grant', () => {
  let folder: string;
  let app: TestApp;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'drawbridge-first-admin-'));
    await resetStores();
    const keys = await loadKeys(loadSettings({ NODE_ENV: 'test', DATA_DIR: folder }));
    app = await startApp({ keys });
  });
  afterAll(async () => {
    await app.close();
    await rm(folder, { recursive: true });
  });

  const grant = (address: string) =>
    runCommand('admin:grant', [address], {
      DATABASE_URL,
      REDIS_URL,
      DATA_DIR: folder,
      APP_URL: 'https://app.example',
    });
  const tokenIn = (output: string) =>
    /^https:\/\/app\.example\/reset-password#token=([\w-]{64})$/m.exec(output)?.[1];
  const invite = async (address: string) => {
    const { code, output } = await grant(address);
    const token = tokenIn(output);
    expect({ code, output, token }).toMatchObject({ code: 0, token: expect.any(String) });
    return token!;
  };
  const reset = (token: string, newPassword = PASSWORD) =>
    app.client().post('/v1/auth/password/reset', { token, newPassword });
  const rowOf = async (email: string) =>
    (
      await app.query<{ id: string; roles: string[]; password_hash: string | null }>(
        'select id, roles, password_hash from users where email = $1',
        [email],
      )
    )[0];
  const events = (userId: string) =>
    app
      .query<{
        type: string;
      }>('select type from audit_events where user_id = $1 order by id', [userId])
      .then((rows) => rows.map(({ type }) => type));

  it('creates an account without a password, which becomes an admin with the link and not before', async () => {
    const first = await invite('First@Example.com');
    expect(await rowOf('first@example.com')).toMatchObject({ roles: ['user'], password_hash: null });
    expect(await app.client().login('first@example.com', PASSWORD)).toMatchObject({ status: 401 });

    const second = await invite('first@example.com');
    expect(await reset(first)).toMatchObject(REFUSED);
    expect(await reset(second)).toMatchObject({ status: 204 });
    expect(await reset(second)).toMatchObject(REFUSED);
    expect(await app.client().login('first@example.com', PASSWORD)).toMatchObject({
      status: 200,
      body: { user: { roles: ['user', 'admin'] } },
    });
    const { id } = (await rowOf('first@example.com'))!;
    expect(await events(id)).toEqual([
      'user_created',
      'authn_password_reset_requested',
      'authn_login_fail',
      'authn_password_reset_requested',
      'privilege_permissions_changed',
      'authn_password_reset',
      'authn_login_success',
    ]);
  });

  it('gives no right to a person who registered the address first with a password of their own', async () => {
    const squatter = { email: 'owner@example.com', password: 'a password of another person' };
    expect(await app.client().post('/v1/auth/register', squatter)).toMatchObject({ status: 202 });
    const token = await invite(squatter.email);
    expect((await rowOf(squatter.email))!.roles).toEqual(['user']);
    expect(await reset(token)).toMatchObject({ status: 204 });
    expect(await app.client().login(squatter.email, squatter.password)).toMatchObject({ status: 401 });
    expect(await app.client().login(squatter.email, PASSWORD)).toMatchObject({ status: 200 });
    expect((await rowOf(squatter.email))!.roles).toEqual(['user', 'admin']);
  });

  it('prints a link that expires, and that the end of the sessions of the user voids', async () => {
    const token = await invite('late@example.com');
    await app.query(
      `update mailed_tokens set expires_at = now() - interval '1 ms' where purpose = 'admin_invitation'`,
    );
    expect(await reset(token)).toMatchObject(REFUSED);

    const voided = await invite('late@example.com');
    const { id } = (await rowOf('late@example.com'))!;
    await app.get(RevocationService).endUser(id, { actorId: null, context: null, reason: 'admin' });
    expect(await reset(voided)).toMatchObject(REFUSED);
    expect(await rowOf('late@example.com')).toMatchObject({ roles: ['user'], password_hash: null });
  });

  it('makes a user with a verified address an admin at once', async () => {
    const { code, output } = await grant(ALICE.email);
    expect({ code, output }).toEqual({ code: 0, output: 'alice@example.com has the roles user, admin\n' });
    expect(await events(ALICE.id)).toContain('privilege_permissions_changed');
  });
});
