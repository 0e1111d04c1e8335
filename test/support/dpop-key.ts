import { createHash, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import { PASSWORD } from './app.js';
import type { Answer, Client } from './client.js';
import type { TestClock } from './clock.js';

export const LOGIN = '/v1/auth/login';
export const REFRESH = '/v1/auth/refresh';
export const REAUTHENTICATE = '/v1/auth/reauthenticate';
/** The origin of requests of `Client`. */
export const HOME = 'http://localhost';

/** Changes of a proof in a test; undefined leaves a member out. */
export interface ProofChanges {
  header?: Record<string, unknown>;
  claims?: Record<string, unknown>;
  /** Signs in place of the key. */
  signer?: (input: Buffer) => Buffer;
}

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

export const athOf = (accessToken: string) => createHash('sha256').update(accessToken).digest('base64url');

/** The key of an app that signs DPoP proofs (RFC 9449), with the algorithms of Node alone. */
export class DpopKey {
  private readonly keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  constructor(private readonly clock: Pick<TestClock, 'now'>) {}

  get jwk(): Record<string, unknown> {
    return this.keys.publicKey.export({ format: 'jwk' }) as Record<string, unknown>;
  }

  get privateJwk(): Record<string, unknown> {
    return this.keys.privateKey.export({ format: 'jwk' }) as Record<string, unknown>;
  }

  get privateKey(): KeyObject {
    return this.keys.privateKey;
  }

  /** A proof for a POST to a path. */
  proof(path: string, { header, claims, signer = this.sign }: ProofChanges = {}): string {
    const input = [
      encoded({ typ: 'dpop+jwt', alg: 'ES256', jwk: this.jwk, ...header }),
      encoded({
        jti: randomUUID(),
        htm: 'POST',
        htu: HOME + path,
        iat: Math.floor(this.clock.now() / 1_000),
        ...claims,
      }),
    ].join('.');
    return `${input}.${signer(Buffer.from(input)).toString('base64url')}`;
  }

  sign = (input: Buffer): Buffer =>
    sign('sha256', input, { key: this.keys.privateKey, dsaEncoding: 'ieee-p1363' });

  login(client: Client, email: string, changes?: ProofChanges): Promise<Answer> {
    return showing(client, this.proof(LOGIN, changes), () =>
      client.login(email, PASSWORD, { transport: 'bearer' }),
    );
  }

  refresh(client: Client, changes?: ProofChanges): Promise<Answer> {
    return showing(client, this.proof(REFRESH, changes), () => client.refresh());
  }

  reauthenticate(client: Client, proof: object, { claims, ...changes }: ProofChanges = {}): Promise<Answer> {
    const withToken = { ...changes, claims: { ath: athOf(client.accessToken!), ...claims } };
    return showing(client, this.proof(REAUTHENTICATE, withToken), () => client.reauthenticate(proof));
  }
}

/** Sends the requests of `act` with this `DPoP` header. */
export async function showing<T>(client: Client, dpop: string | string[], act: () => Promise<T>): Promise<T> {
  const { headers } = client;
  client.headers = { ...headers, dpop: dpop as string };
  try {
    return await act();
  } finally {
    client.headers = headers;
  }
}
