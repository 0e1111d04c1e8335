import type { DeviceKey } from './client.js';

/** Signs with a P-256 key of the device, whose private part no code can read. */
export interface ProofSigner {
  /** The public key. Other members are not sent. */
  readonly jwk: { kty?: string; crv?: string; x?: string; y?: string };
  /**
   * ECDSA over P-256 with SHA-256.
   * @returns the 64 bytes r ‖ s (IEEE P1363). Secure hardware often gives DER: convert it
   */
  sign(bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer | Uint8Array>;
}

type KeyPair = Record<'privateKey' | 'publicKey', Parameters<typeof crypto.subtle.exportKey>[1]>;

/** The subset of IndexedDB that is used: its types are those of pages alone. */
interface Asked<T> {
  result: T;
  error: unknown;
  addEventListener(type: 'success' | 'error' | 'upgradeneeded', listener: () => void): void;
}
interface Store {
  get(key: number): Asked<unknown>;
  put(value: unknown, key: number): Asked<unknown>;
}
interface Database {
  createObjectStore(name: string): void;
  transaction(name: string, mode: 'readonly' | 'readwrite'): { objectStore(name: string): Store };
  close(): void;
}
interface Databases {
  open(name: string, version: number): Asked<Database>;
}

/** Requests that carry a proof. A logout needs none. */
const PROVEN = /\/v1\/auth\/(login|refresh|reauthenticate)(\/(mfa|passkey))?$/;
const PUBLIC_MEMBERS = ['kty', 'crv', 'x', 'y'] as const;

/**
 * The `deviceKey` of a client: adds a proof (RFC 9449) to the requests that begin, renew and step up a session. If the
 * server refuses the time of this device, it signs again with the nonce of the server.
 * @param signer the key, or a function that finds it at its first use
 * @param now ms since the epoch [Date.now]
 */
export function deviceKey(
  signer: ProofSigner | (() => Promise<ProofSigner>),
  now: () => number = () => Date.now(),
): DeviceKey {
  return (fetch) => async (input, init) => {
    const url = String(input);
    if (init?.method !== 'POST' || !PROVEN.test(url)) return fetch(input, init);
    const key = typeof signer === 'function' ? await signer() : signer;
    const headers = new Headers(init.headers);
    const send = async (nonce?: string) => {
      headers.set('dpop', await proofOf(key, url, { headers, now: now(), nonce }));
      return fetch(input, { ...init, headers });
    };
    const answer = await send();
    // The code is `auth.dpop_nonce_required`. A second such answer goes to the client.
    const nonce = answer.headers.get('dpop-nonce');
    const isDemanded = nonce && answer.status === 401;
    return isDemanded ? send(nonce) : answer;
  };
}

/** The key of this browser: in IndexedDB, where no script can read its private part. The first call makes it. */
export function browserDeviceKey(name = 'device-key'): DeviceKey {
  let signer: Promise<ProofSigner> | undefined;
  return deviceKey(() => {
    signer ??= browserSigner(name);
    signer.catch(() => (signer = undefined));
    return signer;
  });
}

async function browserSigner(name: string): Promise<ProofSigner> {
  const { privateKey, publicKey } = await keptKey(name);
  return {
    jwk: await crypto.subtle.exportKey('jwk', publicKey),
    sign: (bytes) => crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, privateKey, bytes),
  };
}

/** Tabs may make keys at the same time. The one that is stored first is the key of all. */
async function keptKey(name: string): Promise<KeyPair> {
  const { indexedDB } = globalThis as unknown as { indexedDB: Databases };
  const opening = indexedDB.open(name, 1);
  opening.addEventListener('upgradeneeded', () => opening.result.createObjectStore('keys'));
  const database = await done(opening);
  try {
    const keys = (mode: 'readonly' | 'readwrite') => database.transaction('keys', mode).objectStore('keys');
    const kept = (await done(keys('readonly').get(0))) as KeyPair | undefined;
    if (kept) return kept;
    const made = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
    const store = keys('readwrite');
    const first = (await done(store.get(0))) as KeyPair | undefined;
    if (first) return first;
    await done(store.put(made, 0));
    return made;
  } finally {
    database.close();
  }
}

function done<T>(request: Asked<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error));
  });
}

async function proofOf(
  { jwk, sign }: ProofSigner,
  url: string,
  { headers, now, nonce }: { headers: Headers; now: number; nonce: string | undefined },
): Promise<string> {
  const accessToken = headers.get('authorization')?.slice('Bearer '.length);
  const ath = accessToken && base64url(await crypto.subtle.digest('SHA-256', bytesOf(accessToken)));
  const header = {
    typ: 'dpop+jwt',
    alg: 'ES256',
    jwk: Object.fromEntries(PUBLIC_MEMBERS.map((name) => [name, jwk[name]])),
  };
  const jti = base64url(crypto.getRandomValues(new Uint8Array(16)));
  const claims = { jti, htm: 'POST', htu: url, iat: Math.floor(now / 1_000), ath, nonce };
  const input = [header, claims].map((part) => base64url(bytesOf(JSON.stringify(part)))).join('.');
  return `${input}.${base64url(await sign(bytesOf(input)))}`;
}

const bytesOf = (text: string) => new TextEncoder().encode(text);

function base64url(bytes: ArrayBuffer | Uint8Array): string {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return text.replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}
