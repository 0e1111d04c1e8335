/**
 * @fastify/session with a Redis store, as in its README. Its argument: `still` for rolling off, which renews no
 * cookie; `dressed`: see dressed.mjs.
 */
import fastifyCookie from '@fastify/cookie';
import fastifySession from '@fastify/session';
import { RedisStore } from 'connect-redis';
import Fastify from 'fastify';
import { randomUUID } from 'node:crypto';
import { dress, REQUEST_IDS } from './dressed.mjs';
import { announce, answer, redis } from './listen.mjs';

const dressed = process.argv.includes('dressed');
const app = Fastify(dressed ? REQUEST_IDS : {});
if (dressed) await dress(app);
await app.register(fastifyCookie);
await app.register(fastifySession, {
  secret: 'a secret with minimum length of 32 characters',
  cookie: { secure: false, maxAge: 1_800_000 },
  saveUninitialized: false,
  rolling: process.argv[2] !== 'still',
  store: new RedisStore({ client: await redis(), prefix: `fastify-${process.argv[2]}:` }),
});
app.get('/open', async () => answer('anonymous', 'none'));
app.get('/whoami', async (request, reply) => {
  const { user } = request.session;
  if (!user) return reply.code(401).send({});
  return answer(user.id, request.session.sessionId);
});
app.post('/login', async (request) => {
  request.session.user = { id: randomUUID() };
  await request.session.save();
  return {};
});
await app.listen({ port: 0, host: '127.0.0.1' });
announce(app.server.address().port);
