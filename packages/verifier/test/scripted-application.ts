import { createHash, generateKeyPairSync, randomBytes, randomUUID, sign, type KeyObject } from 'node:crypto';
import type { FeedEntry } from '../src/index.js';
import type { ScriptedTime } from './scripted-time.js';

export const ISSUER = 'https://app.example';
export const AUDIENCE = 'services';
export const API_KEY = 'a key';

type Changes = Record<string, unknown>;

interface SigningKey {
  kid: string;
  privateKey: KeyObject;
  publicKey: KeyObject;
}

interface Stream {
  controller: ReadableStreamDefaultController<Uint8Array>;
  url: string;
}

export function newKey(kid: string): SigningKey {
  return { kid, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) };
}

/** A version 7 UUID with this instant (RFC 9562 5.7). */
export function sessionIdAt(instant: number): string {
  const hex = instant.toString(16).padStart(12, '0') + `7${randomBytes(10).toString('hex').slice(1)}`;
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

const sha256 = (...parts: (string | Buffer)[]) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/**
 * An application that says what a test tells it to, by the protocol of `docs/reference/revocation-feed.md`. It is written
 * from that page, not from the application's code.
 */
export class ScriptedApplication {
  key = newKey('first');
  published = [this.key];
  entries: FeedEntry[] = [];
  readonly requests: string[] = [];
  /** Answers instead of this application while it is set. */
  failure: (() => Response | Promise<Response>) | null = null;
  private instance = 'instance-1';
  private position = 0;
  private chain = sha256(this.instance);
  private seq = 0;
  private readonly streams = new Set<Stream>();

  constructor(private readonly time: ScriptedTime) {}

  /** In the place of `fetch`. */
  readonly fetch = async (input: unknown, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(String(input));
    const cursor = new Headers(init.headers).get('last-event-id');
    this.requests.push(url.pathname + (cursor === null ? '' : ` ${cursor}`));
    if (this.failure) return this.failure();
    if (url.pathname.endsWith('/jwks.json')) return Response.json({ keys: this.published.map(jwkOf) });
    if (new Headers(init.headers).get('x-api-key') !== API_KEY) return new Response('', { status: 401 });
    if (url.pathname.endsWith('/snapshot')) return new Response(this.snapshot());
    return new Response(this.open(url.host, cursor, init.signal ?? undefined));
  };

  /** Another process answers from now on: its log begins anew, and open streams end. */
  restart(instance: string): void {
    this.instance = instance;
    this.position = 0;
    this.chain = sha256(instance);
    this.cut();
  }

  /** Ends every stream. */
  cut(): void {
    for (const { controller } of this.streams) controller.close();
    this.streams.clear();
  }

  snapshot(changes: Changes = {}, entries = JSON.stringify(this.entries)): string {
    const facts = { ...this.facts(), digest: sha256(entries).toString('base64url'), ...changes };
    const statement = this.signed('revocation-snapshot+jwt', facts);
    return `{"cursor":"${this.cursor}","statement":"${statement}","entries":${entries}}`;
  }

  get cursor(): string {
    return `${this.instance}.${this.position}`;
  }

  get lastSeq(): number {
    return this.seq;
  }

  /** Ends something. @param isSent false: the event is lost on its way */
  revoke(wanted: Partial<FeedEntry>, { isSent = true } = {}): FeedEntry {
    const now = this.time.applicationNow();
    const entry: FeedEntry = {
      seq: (this.seq += 1),
      kind: 'session',
      subjects: [],
      reason: 'admin',
      notBefore: null,
      createdAt: now,
      expiresAt: now + 960_000,
      ...wanted,
    };
    const line = JSON.stringify(entry);
    this.entries.push(entry);
    this.position += 1;
    this.chain = sha256(this.chain, line);
    if (isSent) this.send('revocation', line);
    return entry;
  }

  /** @param changes to what a heartbeat of now would state */
  heartbeat(changes: Changes = {}, key = this.key): void {
    this.send('heartbeat', this.signed('revocation-heartbeat+jwt', { ...this.facts(), ...changes }, key));
  }

  send(type: string, data: string, id = this.cursor): void {
    this.sendRaw(`event: ${type}\nid: ${id}\ndata: ${data}\n\n`);
  }

  sendRaw(text: string): void {
    for (const { controller } of this.streams) controller.enqueue(Buffer.from(text));
  }

  get streamCount(): number {
    return this.streams.size;
  }

  /** An access token of a new session, or of one with these claims. */
  token(changes: Changes = {}, header: Changes = {}, key = this.key): string {
    const iat = Math.floor(this.time.applicationNow() / 1_000);
    const claims = {
      iss: ISSUER,
      aud: AUDIENCE,
      sub: randomUUID(),
      sid: sessionIdAt(this.time.applicationNow()),
      jti: tokenId(),
      iat,
      exp: iat + 900,
      roles: ['user'],
      ...changes,
    };
    return this.signed('at+jwt', claims, key, header);
  }

  signed(typ: string, claims: object, key = this.key, header: Changes = {}): string {
    const parts = [{ alg: 'ES256', typ, kid: key.kid, ...header }, claims];
    const content = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    const bytes = sign('sha256', Buffer.from(content), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
    return `${content}.${bytes.toString('base64url')}`;
  }

  private facts(): object {
    return {
      iss: ISSUER,
      instance: this.instance,
      position: this.position,
      chain: this.chain.toString('base64url'),
      time: this.time.applicationNow(),
      seq: this.seq,
    };
  }

  private open(url: string, cursor: string | null, signal?: AbortSignal): ReadableStream<Uint8Array> {
    return new ReadableStream({
      start: (controller) => {
        const stream = { controller, url };
        if (cursor !== this.cursor) {
          controller.enqueue(Buffer.from('event: list_again\nid: \ndata: {}\n\n'));
          controller.close();
          return;
        }
        this.streams.add(stream);
        signal?.addEventListener('abort', () => {
          if (this.streams.delete(stream)) controller.error(signal.reason);
        });
      },
    });
  }
}

/** A `jti` of a session on the bearer transport, or on the other one. It may need the key of a device. */
export function tokenId({ isBearer = true, needsKey = false } = {}): string {
  const bytes = randomBytes(32);
  bytes[29] = isBearer ? bytes[29]! | 1 : bytes[29]! & ~1;
  bytes[30] = needsKey ? bytes[30]! | 0x80 : bytes[30]! & 0x7f;
  return bytes.toString('base64url');
}

function jwkOf({ kid, publicKey }: SigningKey) {
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  return { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' };
}
