/**
 * Verifies access tokens in a process of its own, as a service would: the argument names the library, in the way of its
 * README and with its cache on. The parent sends `{ tokens, url, apiKey, issuer, audience }` once, and then `run` for each
 * measurement. The answer is the CPU time of one verification in microseconds.
 */
import { createPublicKey } from 'node:crypto';

const [, , kind] = process.argv;

const LIBRARIES = {
  async ours({ url, apiKey, issuer, audience }) {
    const { createVerifier } = await import('../../../packages/verifier/dist/index.js');
    const verifier = createVerifier({ url, apiKey, issuer, audience, whenBlind: 'deny' });
    await verifier.ready();
    return (request) => verifier.check(request);
  },
  async jose({ url, issuer, audience }) {
    const { createRemoteJWKSet, jwtVerify } = await import('jose');
    const keys = createRemoteJWKSet(new URL(`${url}/.well-known/jwks.json`));
    const options = { issuer, audience, algorithms: ['ES256'], typ: 'at+jwt' };
    return ({ headers: { authorization } }) => jwtVerify(authorization.slice(7), keys, options);
  },
  async 'fast-jwt'({ url, issuer, audience }) {
    const { createVerifier } = await import('fast-jwt');
    const { keys } = await (await fetch(`${url}/.well-known/jwks.json`)).json();
    const key = createPublicKey({ key: keys[0], format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    const options = {
      key,
      algorithms: ['ES256'],
      allowedIss: issuer,
      allowedAud: audience,
      checkTyp: 'at+jwt',
    };
    const verify = createVerifier({ ...options, cache: 10_000 });
    return ({ headers: { authorization } }) => verify(authorization.slice(7));
  },
  async 'express-oauth2-jwt-bearer'({ url, issuer, audience }) {
    const { auth } = (await import('express-oauth2-jwt-bearer')).default;
    const jwksUri = `${url}/.well-known/jwks.json`;
    const check = auth({ issuer, audience, jwksUri, tokenSigningAlg: 'ES256' });
    return (request) =>
      new Promise((resolve, reject) => check(request, {}, (error) => (error ? reject(error) : resolve())));
  },
};

let verify;
let requests = [];

async function all(count) {
  for (let index = 0; index < count; index += 1) {
    const verified = verify(requests[index % requests.length]);
    if (verified instanceof Promise) await verified;
  }
}

process.on('message', async (message) => {
  if (message !== 'run') {
    const { tokens, ...setup } = message;
    requests = tokens.map((token) => ({
      method: 'GET',
      protocol: 'https',
      originalUrl: '/',
      get: (name) => (name.toLowerCase() === 'host' ? 'api.example.com' : undefined),
      query: {},
      headers: { host: 'api.example.com', authorization: `Bearer ${token}` },
      rawHeaders: ['Host', 'x', 'Authorization', `Bearer ${token}`],
      is: () => false,
    }));
    verify = await LIBRARIES[kind](setup);
    await all(2 * requests.length);
    return process.send('ready');
  }
  // About a third of a second each.
  let count = 0;
  const before = process.cpuUsage();
  const end = performance.now() + 300;
  while (performance.now() < end) {
    await all(requests.length);
    count += requests.length;
  }
  const { user, system } = process.cpuUsage(before);
  process.send((user + system) / count);
});
