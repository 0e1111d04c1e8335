import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ADMIN, PASSWORD, resetStores } from '../../test/support/app.js';
import { startInstance, type Instance } from '../../test/support/instance.js';

/** Real: an instance as a process, run from a copy of the package, and the build that runs there meanwhile. */

describe('an instance whose build is replaced or deleted while it runs', () => {
  let root: string;
  let instance: Instance;

  beforeAll(resetStores);
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'drawbridge-rebuilt-'));
    for (const part of ['dist', 'src', 'packages', 'package.json', 'transpile.js', 'bundle.js', '.swcrc'])
      cpSync(resolve(part), join(root, part), { recursive: true });
    symlinkSync(resolve('node_modules'), join(root, 'node_modules'));
    instance = await startInstance(
      {
        DATABASE_URL: process.env['TEST_DATABASE_URL']!,
        DATA_DIR: root,
        LOG_LEVEL: 'warn',
        RATE_LIMITS: 'off',
      },
      join(root, 'dist/server/main.js'),
    );
  });
  afterEach(() => instance.stop());
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const send = (
    path: string,
    { token, body, method = body ? 'POST' : 'GET' }: { token?: string; body?: object; method?: string } = {},
  ) =>
    fetch(instance.url + path, {
      method,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });

  /** Everything that is loaded on first use. */
  async function expectEverythingWorks(): Promise<void> {
    const logins = await Promise.all(
      Array.from({ length: 4 }, () =>
        send('/v1/auth/login', { body: { email: ADMIN.email, password: PASSWORD, transport: 'bearer' } }),
      ),
    );
    expect(logins.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const { accessToken: token } = (await logins[0]!.json()) as { accessToken: string };

    const weak = { email: 'new@example.com', password: 'password password password' };
    const guessed = await send('/v1/auth/register', { body: weak });
    expect(guessed.status).toBe(400);
    expect(await guessed.text()).toContain('easily guessed');
    const strong = { ...weak, password: 'seven grey herons at the weir' };
    expect((await send('/v1/auth/register', { body: strong })).status).toBe(202);

    const credential = {
      id: 'AAAA',
      rawId: 'AAAA',
      type: 'public-key',
      clientExtensionResults: {},
      response: { clientDataJSON: 'e30', authenticatorData: 'AAAA', signature: 'AAAA' },
    };
    const passkey = await send('/v1/auth/login/passkey', { body: { response: credential } });
    expect(passkey.status).toBeLessThan(500);

    for (const path of [
      '/docs',
      '/docs/swagger-ui.css',
      '/openapi.json',
      '/metrics',
      '/.well-known/jwks.json',
    ])
      expect([path, (await send(path)).status]).toEqual([path, 200]);
    expect((await send('/v1/admin/audit-events', { token })).status).toBeLessThan(500);
    expect((await send('/v1/auth/mfa/totp', { token, method: 'POST' })).status).toBeLessThan(500);
    expect(instance.output()).not.toMatch(/"level":"error"|ERR_MODULE_NOT_FOUND|Cannot find/);
  }

  it.each<[string, () => void]>([
    ['rebuilt', () => execFileSync('sh', ['-c', 'node transpile.js && node bundle.js'], { cwd: root })],
    ['in the middle of a build', () => execFileSync('node', ['transpile.js'], { cwd: root })],
    ['deleted', () => rmSync(join(root, 'dist'), { recursive: true })],
  ])(
    'still loads all modules on first use (%s)',
    async (how, change) => {
      change();
      expect(existsSync(join(root, 'dist/server'))).toBe(how === 'rebuilt');
      await expectEverythingWorks();
    },
    180_000,
  );
});
