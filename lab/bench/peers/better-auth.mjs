/**
 * Better Auth, called in process (its handler over HTTP takes two to three times as long), as in its guide for
 * Fastify. Its argument: `postgres` for sessions in PostgreSQL, `cookie` for its cookie cache on top, `redis` for
 * Redis as secondary storage, `key` for its plugin for API keys, and `key redis` for keys in Redis; `dressed`: see
 * dressed.mjs.
 */
import { apiKey } from '@better-auth/api-key';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { fromNodeHeaders } from 'better-auth/node';
import Fastify from 'fastify';
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { dress, REQUEST_IDS } from './dressed.mjs';
import { announce, answer, redis } from './listen.mjs';

const form = process.argv[2] ?? 'postgres';
const inRedis = process.argv.includes('redis');
const options = {
  database: new pg.Pool({ connectionString: process.env.DATABASE_URL }),
  secret: 'a secret with minimum length of 32 characters',
  baseURL: 'http://127.0.0.1',
  telemetry: { enabled: false },
  emailAndPassword: {
    enabled: true,
    // Lifts the limit of logins only; no session check uses it.
    password: { hash: async (password) => password, verify: async ({ hash, password }) => hash === password },
  },
  session: { cookieCache: { enabled: form === 'cookie', maxAge: 300 } },
  ...(inRedis && { secondaryStorage: await secondaryStorage() }),
  ...(form === 'key' && { plugins: [apiKeys()] }),
};
await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);

const dressed = process.argv.includes('dressed');
const app = Fastify(dressed ? REQUEST_IDS : {});
if (dressed) await dress(app);
app.get('/open', async () => answer('anonymous', 'none'));
app.get('/whoami', async (request, reply) => {
  if (form === 'key') return whoamiByKey(request, reply);
  const found = await auth.api.getSession({ headers: fromNodeHeaders(request.headers) });
  return found ? answer(found.user.id, found.session.id) : reply.code(401).send({});
});
app.post('/login', async (_request, reply) => {
  const body = { name: 'Some User', email: `${randomUUID()}@bench.example`, password: 'a long password' };
  if (form === 'key') return { apiKey: await newKey(body) };
  const { headers } = await auth.api.signUpEmail({ body, returnHeaders: true });
  for (const cookie of headers.getSetCookie()) reply.header('set-cookie', cookie);
  return {};
});
await app.listen({ port: 0, host: '127.0.0.1' });
announce(app.server.address().port);

/** The limit is lifted, as ours is in the bench. Without it, a key has ten requests a day. */
function apiKeys() {
  return apiKey({
    rateLimit: { enabled: false },
    ...(inRedis && { storage: 'secondary-storage' }),
  });
}

async function newKey(body) {
  const { user } = await auth.api.signUpEmail({ body });
  const permissions = { bench: ['read'] };
  const { key } = await auth.api.createApiKey({ body: { name: 'a machine', userId: user.id, permissions } });
  return key;
}

async function whoamiByKey(request, reply) {
  const key = String(request.headers['x-api-key']);
  const permissions = { bench: ['read'] };
  const { valid, key: found } = await auth.api.verifyApiKey({ body: { key, permissions } });
  return valid ? answer(found.referenceId ?? found.userId, found.id) : reply.code(401).send({});
}

async function secondaryStorage() {
  const client = await redis();
  return {
    get: (key) => client.get(key),
    set: async (key, value, ttl) => {
      if (ttl) await client.set(key, value, { EX: ttl });
      else await client.set(key, value);
    },
    delete: async (key) => {
      await client.del(key);
    },
  };
}
