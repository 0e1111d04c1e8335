/**
 * Writes `packages/verifier/test/vectors.json`: the test vectors of `docs/reference/revocation-feed.md`, for implementations in any
 * language. It uses no code of the application or of the package. Each run makes new keys, so all signatures change.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AUDIENCE,
  INSTANCE,
  ISSUER,
  key,
  LATER,
  Log,
  request,
  SESSIONS,
  sha256,
  START,
  stranger,
  text,
  token,
  USER,
} from './verifier-vectors/application.mjs';
import { edges } from './verifier-vectors/edges.mjs';

const FILE = join(import.meta.dirname, '../packages/verifier/test/vectors.json');
const scenarios = [];
const scenario = (name, steps) => scenarios.push({ name, steps });

{
  const log = new Log();
  log.revoke('session', [SESSIONS[0]]);
  const good = token(SESSIONS[1]);
  scenario('a list, an event, a heartbeat', [
    { now: START },
    { status: 'booting' },
    request(good, 'auth.unavailable'),
    { snapshot: log.snapshot(START), verdict: 'accepted' },
    { status: 'current' },
    request(token(SESSIONS[0]), 'auth.session_ended', {
      reason: 'admin',
      endedAt: new Date(START).toISOString(),
    }),
    request(good, 'accepted'),
    { event: log.revoke('session', [SESSIONS[1]], { reason: 'logout' }), verdict: 'applied' },
    request(good, 'auth.session_ended', { reason: 'logout', endedAt: new Date(START).toISOString() }),
    { now: START + 4_000 },
    { event: log.heartbeat(START + 4_000), verdict: 'counts' },
    { now: START + 9_000 },
    { status: 'current' },
    { now: START + 9_001 },
    { status: 'blind' },
  ]);
}
{
  const log = new Log();
  const first = log.snapshot(START);
  scenario('a user and everyone, up to an instant', [
    { now: START },
    { snapshot: first, verdict: 'accepted' },
    {
      event: log.revoke('user', [USER], {
        notBefore: START - 120_000,
      }),
      verdict: 'applied',
    },
    request(token(SESSIONS[0]), 'auth.session_ended'),
    request(token(LATER), 'accepted'),
    {
      event: log.revoke('everyone', [], {
        notBefore: START - 119_000,
        reason: 'admin_everyone',
      }),
      verdict: 'applied',
    },
    request(token(LATER), 'auth.session_ended', {
      reason: 'admin_everyone',
      endedAt: new Date(START).toISOString(),
    }),
  ]);
}
{
  const log = new Log();
  const denied = token(SESSIONS[0]);
  const { jti } = JSON.parse(Buffer.from(denied[1], 'base64url'));
  scenario('one access token', [
    { now: START },
    { snapshot: log.snapshot(START), verdict: 'accepted' },
    { event: log.revoke('token', [jti]), verdict: 'applied' },
    request(denied, 'auth.token_expired'),
  ]);
}
for (const [name, change, by] of [
  ['signed by another key', {}, stranger],
  ['of another issuer', { iss: 'evil' }],
  ['of another instance', { instance: 'another' }],
  ['at another position', { position: 9 }],
  ['over other events', { chain: text(sha256('other')) }],
]) {
  const log = new Log();
  scenario(`a heartbeat ${name}`, [
    { now: START },
    { snapshot: log.snapshot(START), verdict: 'accepted' },
    { now: START + 1_000 },
    { event: log.heartbeat(START + 1_000, change, by), verdict: 'list_again' },
  ]);
}
{
  const log = new Log();
  const first = log.snapshot(START);
  log.revoke('session', [SESSIONS[0]]); // lost
  scenario('a lost event', [
    { now: START },
    { snapshot: first, verdict: 'accepted' },
    { now: START + 1_000 },
    { event: log.heartbeat(START + 1_000), verdict: 'list_again' },
    { snapshot: log.snapshot(START + 1_000), verdict: 'accepted' },
    request(token(SESSIONS[0]), 'auth.session_ended'),
  ]);
}
{
  const log = new Log();
  scenario('a heartbeat that is repeated', [
    { now: START },
    { snapshot: log.snapshot(START), verdict: 'accepted' },
    { now: START + 4_000 },
    { event: log.heartbeat(START), verdict: 'ignored' },
    { now: START + 5_001 },
    { status: 'blind' },
  ]);
}
for (const [name, make] of [
  ['that is old', (log) => log.snapshot(START - 5_001)],
  ['of the future', (log) => log.snapshot(START + 5_001)],
  ['with other entries', (log) => ({ ...log.snapshot(START), entries: '[]' })],
  ['with an unknown kind', (log) => log.snapshot(START, {}, '[{"seq":1,"kind":"city","subjects":[]}]')],
]) {
  const log = new Log();
  log.revoke('session', [SESSIONS[0]]);
  scenario(`a snapshot ${name}`, [
    { now: START },
    { snapshot: make(log), verdict: 'refused' },
    { status: 'booting' },
  ]);
}
{
  const log = new Log();
  const good = token(SESSIONS[0]);
  scenario('X-Min-Revocation-Seq', [
    { now: START },
    { snapshot: log.snapshot(START), verdict: 'accepted' },
    request(good, 'accepted', { minSeq: '40' }),
    request(good, 'auth.unavailable', { minSeq: '41' }),
    request(good, 'request.invalid', { minSeq: 'x' }),
    { event: log.revoke('session', [SESSIONS[1]]), verdict: 'applied' },
    request(good, 'accepted', { minSeq: '41' }),
  ]);
}
{
  const log = new Log();
  scenario('access tokens', [
    { now: START },
    { snapshot: log.snapshot(START), verdict: 'accepted' },
    request(token(SESSIONS[0], {}, stranger), 'auth.invalid_token'),
    request(token(SESSIONS[0], { aud: 'others' }), 'auth.invalid_token'),
    request(token(SESSIONS[0], { iss: 'evil' }), 'auth.invalid_token'),
    request(token(SESSIONS[0], { admin: true }), 'auth.invalid_token'),
    request(token(SESSIONS[0], { exp: START / 1_000 + 900 }), 'auth.invalid_token'),
    request(log.heartbeat(START).data, 'auth.invalid_token'),
    { now: START + 839_999 },
    { snapshot: log.snapshot(START + 839_999), verdict: 'accepted' },
    request(token(SESSIONS[0]), 'accepted'),
    { now: START + 840_000 },
    request(token(SESSIONS[0]), 'auth.token_expired'),
  ]);
}

const { kty, crv, x, y } = key.publicKey.export({ format: 'jwk' });
const lines = ['{"a":1}', '{"b":2}'];
let chain = sha256(INSTANCE);
const chains = [text(chain), ...lines.map((line) => text((chain = sha256(chain, line))))];
const vectors = {
  about: 'Made by lab/verifier-vectors.mjs. A JWS is given as its three parts: join them with dots.',
  issuer: ISSUER,
  audience: AUDIENCE,
  jwks: { keys: [{ kty, crv, x, y, kid: key.kid, alg: 'ES256', use: 'sig' }] },
  chain: { instance: INSTANCE, lines, values: chains },
  scenarios: [...scenarios, ...edges()],
};
writeFileSync(FILE, `${JSON.stringify(vectors, null, 2)}\n`);
