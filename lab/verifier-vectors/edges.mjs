/** Scenarios at the edges of the rules: each decides a question that a reader of the page could answer in two ways. */
import { jws, key, Log, request, SESSIONS, signed, START, token, USER } from './application.mjs';

const IAT = START / 1_000;
const HEARTBEAT = 'revocation-heartbeat+jwt';
const endedAt = new Date(START).toISOString();

/** The first steps of each: a verifier that has accepted an empty list. */
const begin = (log) => [{ now: START }, { snapshot: log.snapshot(START), verdict: 'accepted' }];

export const edges = () => [
  { name: 'the first of several kinds gives the reason', steps: severalKinds() },
  { name: 'denials without notBefore, and twice', steps: denialsTwice() },
  { name: 'an entry leaves with the heartbeat, not before it', steps: expiry() },
  { name: 'entries that cannot be understood', steps: entriesNotUnderstood() },
  { name: 'an event with the id of another', steps: wrongId() },
  { name: 'a snapshot with the cursor of another', steps: wrongCursor() },
  { name: 'a snapshot lacks a denial, and is older', steps: olderSnapshot() },
  { name: 'the spelling of statements', steps: spellingOfStatements() },
  { name: 'a wall clock that is late', steps: lateClock() },
  { name: 'the spelling of tokens', steps: spellingOfTokens() },
  { name: 'the claims of tokens', steps: claimsOfTokens() },
  { name: 'the digits of X-Min-Revocation-Seq', steps: digits() },
];

function severalKinds() {
  const log = new Log();
  const steps = begin(log);
  for (const [kind, subjects] of [
    ['everyone', []],
    ['user', [USER]],
    ['session', [SESSIONS[0]]],
  ]) {
    const notBefore = kind === 'session' ? null : START;
    steps.push(
      { event: log.revoke(kind, subjects, { reason: kind, notBefore }), verdict: 'applied' },
      request(token(SESSIONS[0]), 'auth.session_ended', { reason: kind, endedAt }),
    );
  }
  return steps;
}

function denialsTwice() {
  const log = new Log();
  const user = (reason, notBefore) => ({
    event: log.revoke('user', [USER], { reason, notBefore }),
    verdict: 'applied',
  });
  const ended = (reason) => request(token(SESSIONS[0]), 'auth.session_ended', { reason, endedAt });
  return [
    ...begin(log),
    user('first', START),
    user('equal', START),
    ended('first'),
    user('greater', START + 1),
    ended('greater'),
    user('null', null),
    ended('null'),
    user('number', START + 2),
    ended('null'),
  ];
}

function expiry() {
  const log = new Log();
  const denied = token(SESSIONS[0]);
  return [
    ...begin(log),
    { event: log.revoke('session', [SESSIONS[0]], { expiresAt: START + 1_000 }), verdict: 'applied' },
    { now: START + 2_000 },
    request(denied, 'auth.session_ended'),
    { event: log.heartbeat(START + 999), verdict: 'counts' },
    request(denied, 'auth.session_ended'),
    { event: log.heartbeat(START + 1_000), verdict: 'counts' },
    request(denied, 'accepted'),
  ];
}

function entriesNotUnderstood() {
  const log = new Log();
  const good = log.revoke('session', [SESSIONS[1]]);
  const entry = JSON.parse(good.data);
  const steps = begin(new Log());
  for (const changes of [{ seq: 1.5 }, { seq: 2 ** 53 }, { subjects: [1] }, { notBefore: undefined }]) {
    const data = JSON.stringify({ ...entry, subjects: [SESSIONS[0]], ...changes });
    steps.push({ event: { ...good, data }, verdict: 'list_again' });
  }
  steps.push(request(token(SESSIONS[0]), 'accepted'));
  const later = { type: 'later', id: good.id, data: '{}' };
  const more = JSON.stringify({ ...entry, more: true });
  return [
    ...steps,
    { event: later, verdict: 'ignored' },
    { event: { ...good, data: more }, verdict: 'applied' },
  ];
}

function wrongId() {
  const log = new Log();
  const steps = begin(log);
  const event = { ...log.revoke('session', [SESSIONS[0]]), id: 'Zq2J6vPw.2' };
  return [...steps, { event, verdict: 'list_again' }, request(token(SESSIONS[0]), 'auth.session_ended')];
}

function wrongCursor() {
  const snapshot = { ...new Log().snapshot(START), cursor: 'Zq2J6vPw.00' };
  return [{ now: START }, { snapshot, verdict: 'refused' }, { status: 'booting' }];
}

function olderSnapshot() {
  const log = new Log();
  return [
    ...begin(log),
    { event: log.revoke('session', [SESSIONS[0]]), verdict: 'applied' },
    { now: START + 3_000 },
    { event: log.heartbeat(START + 3_000), verdict: 'counts' },
    { snapshot: new Log().snapshot(START + 1_000), verdict: 'accepted' },
    request(token(SESSIONS[0]), 'auth.session_ended'),
    { event: new Log().heartbeat(START + 2_000), verdict: 'counts' },
    { now: START + 7_001 },
    { status: 'blind' },
  ];
}

function spellingOfStatements() {
  const log = new Log();
  const header = `{"alg":"ES256","typ":"${HEARTBEAT}","kid":"${key.kid}"}`;
  const reversed = `{"kid":"${key.kid}","typ":"${HEARTBEAT}","alg":"ES256"}`;
  const claims = JSON.stringify(log.facts(START + 1_000));
  const event = (...texts) => ({ type: 'heartbeat', id: 'Zq2J6vPw.0', data: signed(texts) });
  return [
    ...begin(log),
    { now: START + 1_000 },
    { event: event(header, ` ${claims}`), verdict: 'list_again' },
    { event: event(header.replace(',', ', '), claims), verdict: 'list_again' },
    { event: event(header, claims.replace('{', '{"seq":1,')), verdict: 'list_again' },
    { event: event(header.replace('}', ',"more":1}'), claims), verdict: 'list_again' },
    { event: event(reversed, claims.replace('}', ',"more":1}')), verdict: 'counts' },
  ];
}

function lateClock() {
  const log = new Log();
  return [
    ...begin(log),
    { now: START + 10 },
    request(token(SESSIONS[0]), 'accepted'),
    { event: log.heartbeat(START + 900_000), verdict: 'list_again' },
    { status: 'current' },
    request(token(SESSIONS[0]), 'auth.token_expired'),
    { event: log.heartbeat(START + 10), verdict: 'counts' },
    request(token(SESSIONS[0]), 'auth.token_expired'),
  ];
}

function spellingOfTokens() {
  const good = token(SESSIONS[0]);
  const [header, claims] = good.slice(0, 2).map((part) => Buffer.from(part, 'base64url').toString());
  const reversed = JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(claims)).reverse()));
  return [
    ...begin(new Log()),
    request(signed([header, reversed]), 'accepted'),
    request(signed([header, claims.replace(',', ', ')]), 'auth.invalid_token'),
    request(signed([header.replace(',', ', '), claims]), 'auth.invalid_token'),
    request(signed([header, claims.replace('{', '{"iss":"x",')]), 'auth.invalid_token'),
    request(signed([header, claims.replace('user', '\\u0075ser')]), 'auth.invalid_token'),
    request([...good.slice(0, 2), `${good[2].slice(0, -1)}_`], 'auth.invalid_token'),
  ];
}

/** The id of a token of the first session, with these bytes 29 and 30. */
function jtiWith(...bytes) {
  const sessionId = Buffer.from(SESSIONS[0].replaceAll('-', ''), 'hex');
  return Buffer.concat([sessionId, Buffer.alloc(13), Buffer.from([...bytes, 0])]).toString('base64url');
}

function claimsOfTokens() {
  const of = (changes, outcome) => request(token(SESSIONS[0], changes), outcome);
  const { roles, ...without } = JSON.parse(Buffer.from(token(SESSIONS[0])[1], 'base64url'));
  return [
    ...begin(new Log()),
    of({ roles: [] }, 'accepted'),
    of({ roles: ['a_1'] }, 'accepted'),
    of({ roles: ['Admin'] }, 'auth.invalid_token'),
    of({ roles: ['a'.repeat(33)] }, 'auth.invalid_token'),
    of({ roles: roles[0] }, 'auth.invalid_token'),
    request(jws('at+jwt', without), 'auth.invalid_token'),
    of({ sid: SESSIONS[0].toUpperCase() }, 'auth.invalid_token'),
    of({ jti: jtiWith(0b0, 0x00) }, 'auth.invalid_token'), // not of the bearer transport
    of({ jti: jtiWith(0b1, 0x00) }, 'accepted'),
    of({ jti: jtiWith(0b1, 0x80) }, 'auth.invalid_token'), // needs the device key
    of({ jti: jtiWith(0b0, 0x80) }, 'auth.invalid_token'),
    of({ jti: jtiWith(0xff, 0x7f) }, 'accepted'), // the other bits may have any value
    of({ iat: IAT + 5, exp: IAT + 5 + 900 }, 'accepted'),
    of({ iat: IAT + 6, exp: IAT + 6 + 900 }, 'auth.invalid_token'),
    of({ iat: IAT - 60.5 }, 'auth.invalid_token'),
    of({ iat: -1, exp: 1 }, 'auth.invalid_token'),
  ];
}

function digits() {
  const good = token(SESSIONS[0]);
  const entry = JSON.parse(new Log().revoke('session', [SESSIONS[1]]).data);
  return [
    { now: START },
    { snapshot: new Log().snapshot(START, {}, JSON.stringify([{ ...entry, seq: 77 }])), verdict: 'accepted' },
    request(good, 'accepted', { minSeq: '0040' }),
    request(good, 'accepted', { minSeq: '77' }),
    request(good, 'auth.unavailable', { minSeq: '76' }),
    request(good, 'auth.unavailable', { minSeq: '9'.repeat(18) }),
    request(good, 'request.invalid', { minSeq: '9'.repeat(19) }),
    request(good, 'request.invalid', { minSeq: '' }),
    request(good, 'request.invalid', { minSeq: '+1' }),
    request(token(SESSIONS[1]), 'auth.session_ended', { minSeq: 'x' }),
  ];
}
