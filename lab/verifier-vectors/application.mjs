/** The application's side of the test vectors: keys, its log, and the statements and tokens that it signs. */
import { createHash, generateKeyPairSync, sign } from 'node:crypto';

export const [ISSUER, AUDIENCE, INSTANCE] = ['vectors', 'services', 'Zq2J6vPw'];
export const START = Date.UTC(2026, 0, 1);
export const USER = '0192d5a0-0000-4000-8000-00000000000a';
/** Session ids are version 7 UUIDs: the first 48 bits are the instant of their creation, in milliseconds since the epoch. */
const sessionAt = (instant, last) =>
  `${instant.toString(16).padStart(12, '0')}`.replace(/^(.{8})(.{4})$/, `$1-$2-7000-8000-00000000000${last}`);
export const SESSIONS = [sessionAt(START - 120_000, 1), sessionAt(START - 120_000, 2)];
export const LATER = sessionAt(START - 119_000, 3);

const newKey = (kid) => ({ kid, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) });
export const key = newKey('vector-key');
export const stranger = newKey('vector-key');

export const sha256 = (...parts) =>
  parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
export const text = (bytes) => bytes.toString('base64url');

/** A compact JWS as its three parts; join them with dots. */
export function jws(typ, claims, by = key) {
  return signed(
    [{ alg: 'ES256', typ, kid: by.kid }, claims].map((part) => JSON.stringify(part)),
    by,
  );
}

/** The same, of texts that a test spells. */
export function signed(texts, by = key) {
  const parts = texts.map((part) => text(Buffer.from(part)));
  const signature = sign('sha256', Buffer.from(parts.join('.')), {
    key: by.privateKey,
    dsaEncoding: 'ieee-p1363',
  });
  return [...parts, text(signature)];
}

/** The application's side: its log, and the statements about it. */
export class Log {
  entries = [];
  position = 0;
  chain = sha256(INSTANCE);
  seq = 40;

  facts(time, changes = {}) {
    const { position, seq } = this;
    return { iss: ISSUER, instance: INSTANCE, position, chain: text(this.chain), time, seq, ...changes };
  }

  /** `body`: the answer is `{"cursor":"…","statement":"…","entries":…}`, without any space between. */
  snapshot(time, changes = {}, entries = JSON.stringify(this.entries)) {
    const facts = this.facts(time, { digest: text(sha256(entries)), ...changes });
    return {
      cursor: `${INSTANCE}.${this.position}`,
      statement: jws('revocation-snapshot+jwt', facts),
      entries,
    };
  }

  revoke(kind, subjects, more = {}) {
    const entry = {
      seq: ++this.seq,
      kind,
      subjects,
      reason: 'admin',
      notBefore: null,
      createdAt: START,
      expiresAt: START + 960_000,
      ...more,
    };
    const data = JSON.stringify(entry);
    this.entries.push(entry);
    this.position += 1;
    this.chain = sha256(this.chain, data);
    return { type: 'revocation', id: `${INSTANCE}.${this.position}`, data };
  }

  heartbeat(time, changes = {}, by = key) {
    const data = jws('revocation-heartbeat+jwt', this.facts(time, changes), by);
    return { type: 'heartbeat', id: `${INSTANCE}.${this.position}`, data };
  }
}

export function token(sid, changes = {}, by = key) {
  const iat = START / 1_000 - 60;
  const jti = text(
    Buffer.concat([Buffer.from(sid.replaceAll('-', ''), 'hex'), Buffer.alloc(13), Buffer.from([1, 0, 0])]),
  );
  return jws(
    'at+jwt',
    { iss: ISSUER, aud: AUDIENCE, sub: USER, sid, jti, iat, exp: iat + 900, roles: ['user'], ...changes },
    by,
  );
}

export const request = (of, outcome, more = {}) => ({ request: { token: of, ...more }, outcome });
