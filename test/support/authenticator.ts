import { isoCBOR } from '@simplewebauthn/server/helpers';
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

type Algorithm = 'ES256' | 'EdDSA' | 'RS256';
type CborMap = Parameters<typeof isoCBOR.encode>[0];

export interface CreationOptions {
  challenge: string;
  rp: { id: string };
  user: { id: string };
}

export interface RequestOptions {
  challenge: string;
  rpId: string;
}

/** Deviations of an authenticator, or of the page that uses it. */
export interface Deviation {
  origin?: string;
  crossOrigin?: boolean;
  topOrigin?: string;
  type?: string;
  challenge?: string;
  rpId?: string;
  userVerified?: boolean;
  userPresent?: boolean;
  userHandle?: string | null;
  signCount?: number;
  /** The id of another authenticator, or of none. */
  credentialId?: Buffer;
  /** Signs instead of its own key. */
  privateKey?: KeyObject;
  /** Default: `none`. */
  statement?: { fmt: string; attStmt: Map<string, unknown> };
}

const FLAGS = { present: 0x01, verified: 0x04, backupEligible: 0x08, backedUp: 0x10, attested: 0x40 };

/** An authenticator with one discoverable credential, and the browser that uses it. */
export class Authenticator {
  readonly credentialId = randomBytes(32);
  readonly aaguid = randomBytes(16);
  readonly keys: { publicKey: KeyObject; privateKey: KeyObject };
  userHandle: string | null = null;
  /** The counter of the last answer. A synced credential does not count. */
  signCount: number;

  constructor(
    readonly origin: string,
    private readonly kind: { algorithm?: Algorithm; synced?: boolean } = {},
  ) {
    this.keys = newKeys(kind.algorithm ?? 'ES256');
    this.signCount = kind.synced ? 0 : 1;
  }

  /** `navigator.credentials.create()`, then `toJSON()`. */
  create(options: CreationOptions, deviation: Deviation = {}) {
    this.userHandle = options.user.id;
    const { fmt, attStmt } = deviation.statement ?? { fmt: 'none', attStmt: new Map() };
    const id = deviation.credentialId ?? this.credentialId;
    const length = Buffer.alloc(2);
    length.writeUInt16BE(id.length);
    const attested = Buffer.concat([this.aaguid, length, id, this.coseKey()]);
    const authData = this.authData(options.rp.id, deviation, attested);
    const attestation = new Map<string, unknown>([
      ['fmt', fmt],
      ['attStmt', attStmt],
      ['authData', new Uint8Array(authData)],
    ]);
    return {
      ...this.credential(id),
      response: {
        clientDataJSON: this.clientData('webauthn.create', options.challenge, deviation),
        attestationObject: Buffer.from(isoCBOR.encode(attestation as CborMap)).toString('base64url'),
        authenticatorData: authData.toString('base64url'),
        publicKeyAlgorithm: -7,
        transports: this.kind.synced ? ['hybrid', 'internal'] : ['usb'],
      },
    };
  }

  /** `navigator.credentials.get()`, then `toJSON()`. */
  get(options: RequestOptions, deviation: Deviation = {}) {
    if (!this.kind.synced) this.signCount += 1;
    const authData = this.authData(options.rpId, deviation);
    const clientDataJSON = this.clientData('webauthn.get', options.challenge, deviation);
    const signed = Buffer.concat([authData, sha256(Buffer.from(clientDataJSON, 'base64url'))]);
    const key = deviation.privateKey ?? this.keys.privateKey;
    const signature = sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', signed, key);
    const userHandle = deviation.userHandle === undefined ? this.userHandle : deviation.userHandle;
    return {
      ...this.credential(deviation.credentialId ?? this.credentialId),
      response: {
        clientDataJSON,
        authenticatorData: authData.toString('base64url'),
        signature: signature.toString('base64url'),
        userHandle,
      },
    };
  }

  private credential(credentialId: Buffer) {
    const id = credentialId.toString('base64url');
    return {
      id,
      rawId: id,
      type: 'public-key',
      authenticatorAttachment: 'cross-platform',
      clientExtensionResults: { credProps: { rk: true } },
    };
  }

  private clientData(type: string, challenge: string, { origin = this.origin, ...deviation }: Deviation) {
    const said = {
      type: deviation.type ?? type,
      challenge: deviation.challenge ?? challenge,
      origin,
      crossOrigin: deviation.crossOrigin ?? false,
      ...(deviation.topOrigin && { topOrigin: deviation.topOrigin }),
    };
    return Buffer.from(JSON.stringify(said)).toString('base64url');
  }

  private authData(
    rpId: string,
    { userVerified = true, userPresent = true, signCount = this.signCount, ...deviation }: Deviation,
    attested?: Buffer,
  ): Buffer {
    let flags = this.kind.synced ? FLAGS.backupEligible | FLAGS.backedUp : 0;
    if (userPresent) flags |= FLAGS.present;
    if (userVerified) flags |= FLAGS.verified;
    if (attested) flags |= FLAGS.attested;
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(signCount);
    const site = sha256(Buffer.from(deviation.rpId ?? rpId));
    return Buffer.concat([site, Buffer.from([flags]), counter, attested ?? Buffer.alloc(0)]);
  }

  /** RFC 9053 2, 7; RFC 8230 4. */
  private coseKey(): Buffer {
    const jwk = this.keys.publicKey.export({ format: 'jwk' });
    const bytes = (text: string | undefined) => new Uint8Array(Buffer.from(text!, 'base64url'));
    const entries: Record<Algorithm, [number, number | Uint8Array][]> = {
      ES256: [
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, bytes(jwk.x ?? '')],
        [-3, bytes(jwk.y ?? '')],
      ],
      EdDSA: [
        [1, 1],
        [3, -8],
        [-1, 6],
        [-2, bytes(jwk.x ?? '')],
      ],
      RS256: [
        [1, 3],
        [3, -257],
        [-1, bytes(jwk.n ?? '')],
        [-2, bytes(jwk.e ?? '')],
      ],
    };
    return Buffer.from(isoCBOR.encode(new Map(entries[this.kind.algorithm ?? 'ES256']) as CborMap));
  }
}

function newKeys(algorithm: Algorithm): { publicKey: KeyObject; privateKey: KeyObject } {
  if (algorithm === 'EdDSA') return generateKeyPairSync('ed25519');
  if (algorithm === 'RS256') return generateKeyPairSync('rsa', { modulusLength: 2_048 });
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}
