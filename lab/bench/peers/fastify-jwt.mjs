/**
 * @fastify/jwt with ES256, as in its README. Its argument: the size of its cache of verified tokens; without it no
 * cache. `dressed`: see dressed.mjs.
 */
import fastifyJwt from '@fastify/jwt';
import Fastify from 'fastify';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { dress, REQUEST_IDS } from './dressed.mjs';
import { announce, answer } from './listen.mjs';

const cache = Number(process.argv[2] ?? 0);
const { privateKey, publicKey } = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const dressed = process.argv.includes('dressed');
const app = Fastify(dressed ? REQUEST_IDS : {});
if (dressed) await dress(app);
await app.register(fastifyJwt, {
  secret: { private: privateKey, public: publicKey },
  sign: { algorithm: 'ES256', expiresIn: '15m' },
  verify: { algorithms: ['ES256'], ...(cache && { cache }) },
});
app.decorate('authenticate', async (request) => {
  await request.jwtVerify();
});
app.get('/open', async () => answer('anonymous', 'none'));
app.get('/whoami', { onRequest: [app.authenticate] }, async (request) =>
  answer(request.user.sub, request.user.sid),
);
app.post('/login', async () => ({ token: app.jwt.sign({ sub: randomUUID(), sid: randomUUID() }) }));
await app.listen({ port: 0, host: '127.0.0.1' });
announce(app.server.address().port);
