import { describe, expect, it } from '@jest/globals';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { Authenticator, type Deviation } from '../../../../test/support/authenticator.js';
import {
  challengeFrom,
  VerificationFailed,
  verifyAssertion,
  verifyAttestation,
  type Credential,
} from './webauthn.js';

const ORIGIN = 'https://app.example.com';
const RP = { id: 'example.com', name: 'Example', origins: ['https://example.com', ORIGIN] };
const CHALLENGE = 'c29tZXRoaW5n';
const CREATION = { challenge: CHALLENGE, rp: RP, user: { id: 'dXNlcg' } };
const REQUEST = { challenge: CHALLENGE, rpId: RP.id };

async function enrolled(key: Authenticator): Promise<Credential> {
  const made = await verifyAttestation(key.create(CREATION) as never, CHALLENGE, RP);
  if (made instanceof VerificationFailed) throw made;
  return made;
}

/** Real: the library, keys, signatures. */
describe('the response of an authenticator', () => {
  it.each(['ES256', 'EdDSA', 'RS256'] as const)('a right response with %s is accepted', async (algorithm) => {
    const key = new Authenticator(ORIGIN, { algorithm });
    const made = await enrolled(key);
    expect(made).toEqual({
      credentialId: key.credentialId,
      publicKey: expect.any(Buffer),
      signCount: 1,
      transports: ['usb'],
      aaguid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      backupEligible: false,
      backedUp: false,
    });
    const said = await verifyAssertion(key.get(REQUEST) as never, CHALLENGE, RP, made);
    expect(said).toEqual({ signCount: 2, backedUp: false });
  });

  it('the response says whether the passkey is synced', async () => {
    const key = new Authenticator(ORIGIN, { synced: true });
    const made = await enrolled(key);
    expect(made).toMatchObject({ signCount: 0, backupEligible: true, backedUp: true });
  });

  const ALWAYS: [string, Deviation][] = [
    ['for another site', { origin: 'https://example.com.evil.test' }],
    ['for another port', { origin: `${ORIGIN}:8443` }],
    ['for another scheme', { origin: 'http://app.example.com' }],
    ['for an opaque origin', { origin: 'null' }],
    ['for another domain', { rpId: 'example.org' }],
    ['for a domain in another spelling', { rpId: 'Example.com' }],
    ['without user verification', { userVerified: false }],
    ['without user presence', { userPresent: false }],
    ['for another challenge', { challenge: 'YW5vdGhlcg' }],
    ['with another type', { type: 'payment.get' }],
  ];

  it.each<[string, Deviation]>([
    ...ALWAYS,
    ['with the type of a login', { type: 'webauthn.get' }],
    ['with an id that is too long', { credentialId: randomBytes(1_024) }],
    ['with an id that is empty', { credentialId: Buffer.alloc(0) }],
  ])('a new passkey is refused when created %s', async (_what, deviation) => {
    const key = new Authenticator(ORIGIN);
    const attestation = key.create(CREATION, deviation);
    await expect(verifyAttestation(attestation as never, CHALLENGE, RP)).resolves.toBeInstanceOf(
      VerificationFailed,
    );
  });

  it.each<[string, Deviation]>([
    ...ALWAYS,
    ['with the type of an enrolment', { type: 'webauthn.create' }],
    ['with another key', { privateKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }],
    ['with a key of another kind', { privateKey: generateKeyPairSync('ed25519').privateKey }],
  ])('an assertion is refused when signed %s', async (_what, deviation) => {
    const key = new Authenticator(ORIGIN);
    const made = await enrolled(key);
    const assertion = key.get(REQUEST, deviation);
    await expect(verifyAssertion(assertion as never, CHALLENGE, RP, made)).resolves.toBeInstanceOf(
      VerificationFailed,
    );
  });

  it.each(['authenticatorData', 'signature', 'clientDataJSON'] as const)(
    'an assertion with one changed bit in its %s is refused, for every byte',
    async (member) => {
      const key = new Authenticator(ORIGIN, { algorithm: 'EdDSA' });
      const made = await enrolled(key);
      const assertion = key.get(REQUEST);
      const bytes = Buffer.from(assertion.response[member], 'base64url');
      for (let index = 0; index < bytes.length; index += 1) {
        const changed = Buffer.from(bytes);
        changed[index]! ^= 1;
        const response = { ...assertion.response, [member]: changed.toString('base64url') };
        const attempt = verifyAssertion({ ...assertion, response } as never, CHALLENGE, RP, made);
        await expect(attempt).resolves.toBeInstanceOf(VerificationFailed);
      }
    },
  );

  it('an attestation statement is dropped unread, whatever its format', async () => {
    const x5c = [new Uint8Array(randomBytes(500))];
    for (const fmt of ['packed', 'tpm', 'apple', 'android-safetynet', 'of-tomorrow']) {
      const statement = { fmt, attStmt: new Map<string, unknown>([['x5c', x5c]]) };
      const attestation = new Authenticator(ORIGIN).create(CREATION, { statement });
      await expect(verifyAttestation(attestation as never, CHALLENGE, RP)).resolves.toMatchObject({
        signCount: 1,
      });
    }
  });

  it('a response of random bytes is refused', async () => {
    const { response, ...credential } = new Authenticator(ORIGIN).create(CREATION);
    const garbage = [randomBytes(0), randomBytes(40), randomBytes(4_000), Buffer.alloc(7_000, 0x81)];
    for (const bytes of garbage) {
      const attestationObject = bytes.toString('base64url');
      const attestation = { ...credential, response: { ...response, attestationObject } };
      await expect(verifyAttestation(attestation as never, CHALLENGE, RP)).resolves.toBeInstanceOf(
        VerificationFailed,
      );
    }
  });
});

describe('the challenge in a response', () => {
  const inside = (said: string) =>
    challengeFrom({ response: { clientDataJSON: Buffer.from(said).toString('base64url') } });

  it('the challenge is read from the signed client data', async () => {
    expect(await inside(`{"challenge":"${CHALLENGE}","crossOrigin":false}`)).toBe(CHALLENGE);
  });

  it.each([
    '',
    'x',
    'null',
    '[]',
    '{}',
    '{"challenge":1}',
    `{"challenge":["${CHALLENGE}"]}`,
    `{"challenge":"${CHALLENGE}","crossOrigin":true}`,
  ])('client data %j gives no challenge', async (said) => {
    expect(await inside(said)).toBeNull();
  });
});
