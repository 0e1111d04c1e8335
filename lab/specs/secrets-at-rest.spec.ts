import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Secret, TOTP } from 'otpauth';
import pg from 'pg';
import { createClient } from 'redis';
import { DEMO_PASSWORD } from '../../src/seeds.js';
import { startInstance, type Instance } from '../../test/support/instance.js';
import { describeWithRedis } from '../../test/support/redis.js';
import { startPostgres, startRedis, type Service } from '../../test/support/services.mjs';
import { eventually } from '../../test/support/waiting.js';
import { PRODUCT } from '../../src/product.js';

const NEW_PASSWORD = 'a canary password of no user';
const CHANGED_PASSWORD = 'a canary that was changed';
const RESET_PASSWORD = 'a canary that was forgotten';

/** Real: the application's process at its finest log level, PostgreSQL, Redis. */
describeWithRedis('a thief of dumps and logs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-secrets-'));
  const secrets = new Map<string, string>();
  let postgres: Service;
  let redis: Service;
  let instance: Instance;
  let liveSession: string;

  beforeAll(async () => {
    [postgres, redis] = (await Promise.all([startPostgres(), startRedis()])) as [Service, Service];
    instance = await startInstance({
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
      DATA_DIR: folder,
      LOG_LEVEL: 'trace',
    });
    await useEverything();
  });
  afterAll(async () => {
    await instance?.stop();
    await Promise.all([postgres?.stop(), redis?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  it('finds no token, password or key in PostgreSQL [LOG-03, REF-02, APK-01]', async () => {
    const dump = await dumpPostgres(postgres.url);
    expect(dump).toContain(liveSession);
    expect(secretsIn(dump)).toEqual([]);
  });

  it('finds no token, password or key in Redis [REF-02]', async () => {
    const dump = await dumpRedis(redis.url);
    expect(dump).toContain(liveSession);
    expect(dump).toContain(`${PRODUCT.redisPrefix}guesses:`);
    expect(secretsIn(dump)).toEqual([]);
  });

  it('finds no token, password or key in the logs [LOG-03, PWD-09]', () => {
    expect(instance.output()).toMatch(/"route":"\/v1\/auth\/login"/);
    // In development the demo password and mails are printed on purpose.
    const log = mails().reduce(
      (output, mail) => output.replace(mail, ''),
      instance.output().replaceAll(DEMO_PASSWORD, ''),
    );
    expect(secretsIn(log)).toEqual([]);
  });

  /** Everything that is issued or sent, through success, refusal, theft and invalid input. */
  async function useEverything(): Promise<void> {
    const keys = JSON.parse(readFileSync(join(folder, 'keys.json'), 'utf8'));
    secrets.set('signing key', keys.signing[0].privateKey.split('\n')[1]);
    secrets.set('refresh secret', keys.refresh[0].secret);
    secrets.set('encryption key', keys.encryption[0].key);
    secrets.set('new password', NEW_PASSWORD);
    secrets.set('changed password', CHANGED_PASSWORD);
    secrets.set('reset password', RESET_PASSWORD);
    secrets.set('demo password', DEMO_PASSWORD);

    await call('POST', '/v1/auth/register', { email: 'canary@example.com', password: NEW_PASSWORD });
    const cookies = await call('POST', '/v1/auth/login', {
      email: 'canary@example.com',
      password: NEW_PASSWORD,
    });
    for (const cookie of cookies.headers.getSetCookie()) {
      secrets.set(`cookie ${cookie.split('=')[0]}`, cookie.split(';')[0]!.split('=')[1]!);
    }
    const { accessToken, refreshToken, deviceToken, session } = await grant(
      'login',
      'POST',
      '/v1/auth/login',
      {
        email: 'alice@example.com',
        password: DEMO_PASSWORD,
        transport: 'bearer',
      },
    );
    liveSession = session.id;
    const bearer = { authorization: `Bearer ${accessToken}` };
    const device = { 'x-device-token': deviceToken };
    const renewed = await grant('refresh', 'POST', '/v1/auth/refresh', { refreshToken }, device);
    const password = { password: DEMO_PASSWORD };
    const proven = await grant('reauthenticate', 'POST', '/v1/auth/reauthenticate', password, bearer);
    bearer.authorization = `Bearer ${proven.accessToken}`;
    await call('PATCH', '/v1/users/me', { displayName: 'Alice' }, bearer);
    await useApiKeys(bearer);
    await call('GET', '/v1/sessions', undefined, bearer);
    await call('GET', `/v1/auth/whoami?access_token=${accessToken}`, undefined, bearer);
    await call('GET', `/v1/nowhere/${accessToken}`, undefined, bearer);
    await call('POST', '/v1/auth/login', {
      email: 'alice@example.com',
      password: `${NEW_PASSWORD} but wrong`,
    });
    await call('POST', '/v1/auth/login', `{"password": "${NEW_PASSWORD}", broken`);
    await call('POST', '/v1/auth/refresh', { refreshToken: `${renewed.refreshToken}x` });

    const victim = await grant('victim', 'POST', '/v1/auth/login', {
      email: 'bob@example.com',
      password: DEMO_PASSWORD,
      transport: 'bearer',
    });
    await grant('victim refresh', 'POST', '/v1/auth/refresh', { refreshToken: victim.refreshToken });
    const reuse = await call('POST', '/v1/auth/refresh', { refreshToken: victim.refreshToken });
    expect(reuse.status).toBe(401);

    const passwords = { currentPassword: DEMO_PASSWORD, newPassword: CHANGED_PASSWORD };
    const changed = await call('POST', '/v1/auth/password/change', passwords, bearer);
    expect(changed.status).toBe(204);
    for (const email of ['canary@example.com', 'alice@example.com']) {
      expect((await call('POST', '/v1/auth/password/forgot', { email })).status).toBe(202);
    }
    // One token is used; the other one is still good when the stores are read.
    const used = await mailedToken('used reset token', 'canary@example.com');
    await mailedToken('reset token', 'alice@example.com');
    const reset = { token: used, newPassword: RESET_PASSWORD };
    expect((await call('POST', '/v1/auth/password/reset', reset)).status).toBe(204);
    expect((await call('POST', '/v1/auth/password/reset', reset)).status).toBe(400);
    await call('POST', '/v1/auth/email/verify', { token: used });
    await call('GET', `/v1/auth/password/reset?token=${used}`);
    await useSecondFactor(bearer);
    // The session is cached again.
    expect((await call('GET', '/v1/sessions/current', undefined, bearer)).status).toBe(200);
  }

  /** A key, its rotation with an overlap, a mistyped key, and a key in a URL. */
  async function useApiKeys(bearer: Record<string, string>): Promise<void> {
    const json = async (answer: Response) => (await answer.json()) as Record<string, any>;
    const wanted = { name: 'a machine', scopes: ['flags:read'] };
    const { id, key } = await json(await call('POST', '/v1/api-keys', wanted, bearer));
    const rotation = await call('POST', `/v1/api-keys/${id}/rotate`, { overlapSeconds: 600 }, bearer);
    const { key: rotated } = await json(rotation);
    for (const [name, text] of Object.entries({ key, rotated } as Record<string, string>)) {
      secrets.set(`API key, ${name}`, text.slice(-36));
      const answer = await call('GET', '/v1/feature-flags', undefined, { 'x-api-key': text });
      expect(answer.status).toBe(200);
      await call('GET', '/v1/feature-flags', undefined, { 'x-api-key': `${text}x` });
      await call('GET', `/v1/feature-flags?api_key=${text}`);
    }
  }

  /** An enrolled factor, one that is only begun, a used code, and a login that waits for its second factor. */
  async function useSecondFactor(bearer: Record<string, string>): Promise<void> {
    const post = async (path: string, body?: object) =>
      (await (await call('POST', `/v1/auth/${path}`, body, bearer)).json()) as Record<string, any>;
    const remember = (name: string, { secret }: Record<string, any>) => {
      secrets.set(`${name} TOTP secret`, secret);
      secrets.set(`${name} TOTP secret, its bytes`, Secret.fromBase32(secret).hex);
      return new TOTP({ secret: Secret.fromBase32(secret) });
    };
    const phone = remember('enrolled', await post('mfa/totp'));
    const { recoveryCodes } = await post('mfa/totp/confirm', { code: phone.generate() });
    for (const code of recoveryCodes) {
      secrets.set(`recovery code ${code}`, code);
      secrets.set(`recovery code ${code}, as it is compared`, code.replaceAll('-', ''));
    }
    remember('begun', await post('mfa/totp'));
    const login = { email: 'alice@example.com', password: CHANGED_PASSWORD, transport: 'bearer' };
    for (const name of ['one', 'two']) {
      const asked = (await (await call('POST', '/v1/auth/login', login)).json()) as Record<string, any>;
      const challengeToken: string = asked['challengeToken'];
      secrets.set(`challenge ${name}`, challengeToken);
      const wrong = await call('POST', '/v1/auth/login/mfa', { challengeToken, code: 'not a code' });
      expect(wrong.status).toBe(401);
      if (name === 'one') {
        const body = { challengeToken, code: recoveryCodes[0] };
        await grant('second step', 'POST', '/v1/auth/login/mfa', body);
      }
    }
  }

  function mails(): string[] {
    const kept = join(folder, 'mails');
    return readdirSync(kept).map((file) => readFileSync(join(kept, file), 'utf8'));
  }

  /** As the owner of that mailbox finds it. */
  function mailedToken(name: string, address: string): Promise<string> {
    return eventually(() => {
      const mail = mails().find((text) => text.startsWith(`To: ${address}\n`) && text.includes('#token='))!;
      const token = /#token=([\w-]+)$/m.exec(mail)![1]!;
      secrets.set(name, token);
      secrets.set(`${name}, its MAC`, Buffer.from(token, 'base64url').subarray(16).toString('base64url'));
      return token;
    });
  }

  async function grant(name: string, ...request: Parameters<typeof call>) {
    const answer = await call(...request);
    expect(answer.status).toBe(200);
    const body = (await answer.json()) as Record<string, any>;
    for (const kind of ['accessToken', 'refreshToken', 'deviceToken']) {
      if (body[kind]) secrets.set(`${name} ${kind}`, body[kind]);
    }
    return body;
  }

  function call(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return fetch(instance.url + path, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  }

  /** As issued, as bytes in any encoding, and the secret part of a token. */
  function secretsIn(dump: string): string[] {
    const text = dump.toLowerCase();
    return [...secrets]
      .filter(([, secret]) => spellingsOf(secret).some((spelling) => text.includes(spelling)))
      .map(([name]) => name);
  }
});

function spellingsOf(secret: string): string[] {
  const signature = secret.split('.')[2];
  const decoded = Buffer.from(secret, 'base64url');
  const spellings = [
    secret,
    Buffer.from(secret).toString('base64'),
    Buffer.from(secret).toString('base64url'),
    Buffer.from(secret).toString('hex'),
    ...(/^[\w-]{40,}$/.test(secret) ? [decoded.toString('hex'), decoded.toString('base64')] : []),
    ...(signature ? [signature, Buffer.from(signature, 'base64url').toString('hex')] : []),
  ];
  return spellings.map((spelling) => spelling.toLowerCase());
}

async function dumpPostgres(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows: tables } = await client.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'public'`,
  );
  const parts: string[] = [];
  for (const { name } of tables) {
    const { rows } = await client.query<{ row: string }>(`select t::text as row from ${name} t`);
    parts.push(...rows.map(({ row }) => row));
  }
  await client.end();
  return parts.join('\n');
}

async function dumpRedis(url: string): Promise<string> {
  const client = createClient({ url });
  await client.connect();
  const parts: string[] = [];
  for await (const keys of client.scanIterator()) {
    for (const key of keys) {
      // Keys of attempt counters are hashes; everything else is text.
      const isHash = (await client.type(key)) === 'hash';
      parts.push(key, isHash ? JSON.stringify(await client.hGetAll(key)) : ((await client.get(key)) ?? ''));
    }
  }
  client.destroy();
  return parts.join('\n');
}
