import type { Operations, Passkey, PasskeyAssertion, PasskeyRequestOptions } from './api-types.js';
import type { CallOptions, Client, LoggedIn } from './client.js';
import { failureOf, parseJson } from './endpoints.js';

type LoginOptions = Operations['POST /v1/auth/login/passkey/options']['answer'];
type CreationOptions = Operations['POST /v1/auth/passkeys/options']['answer'];

export interface PasskeyLoginOptions extends CallOptions {
  /** `conditional` offers passkeys in the autofill of the login form: `<input autocomplete="username webauthn">`. */
  mediation?: CredentialMediationRequirement;
  deviceName?: string;
}

/**
 * Logs in with a passkey, without a name or a password. The options are valid for five minutes: a page that stays
 * open longer requests new ones.
 * @throws ApiProblem (`auth.invalid_credentials`) | AuthUnavailable, or the browser's error: `NotAllowedError` if the
 *   user cancels
 */
export async function signInWithPasskey(
  client: Client,
  { mediation, deviceName, signal }: PasskeyLoginOptions = {},
): Promise<LoggedIn> {
  const anonymous = { credentials: 'omit', signal } as const;
  const options = await post<LoginOptions>(client, 'login/passkey/options', anonymous);
  const response = await assertion(options, { mediation, signal });
  const { challengeToken } = options;
  return client.login({ challengeToken, response, deviceName }, { signal }) as Promise<LoggedIn>;
}

/**
 * Makes the session fresh again (step-up), with a verified second factor.
 * @throws as above | SessionEnded
 */
export async function reauthenticateWithPasskey(client: Client, { signal }: CallOptions = {}): Promise<void> {
  const options = await post<PasskeyRequestOptions>(client, 'reauthenticate/passkey/options', { signal });
  return client.reauthenticate({ response: await assertion(options, { signal }) }, { signal });
}

/**
 * Creates a passkey for the user of the session. Other sessions of the user end. The session has to be fresh.
 * @throws as above | SessionEnded, or the browser's error: `InvalidStateError` if the authenticator has a passkey
 *   already
 */
export async function addPasskey(
  client: Client,
  { name, signal }: { name?: string } & CallOptions = {},
): Promise<Passkey> {
  const options = await post<CreationOptions>(client, 'passkeys/options', { signal });
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const made = (await navigator.credentials.create({ publicKey, signal })) as PublicKeyCredential;
  return post(client, 'passkeys', { signal, body: JSON.stringify({ response: jsonOf(made), name }) });
}

async function assertion(
  options: PasskeyRequestOptions,
  how: Pick<CredentialRequestOptions, 'mediation' | 'signal'>,
): Promise<PasskeyAssertion> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const found = (await navigator.credentials.get({ publicKey, ...how })) as PublicKeyCredential;
  return jsonOf(found) as PasskeyAssertion;
}

/**
 * The credential as `toJSON()` returns it. Password managers replace the browser's credential objects with their own,
 * on which `toJSON()` is missing or throws "Illegal invocation". Their fields contain the same data.
 */
function jsonOf(credential: PublicKeyCredential): unknown {
  try {
    return credential.toJSON();
  } catch {
    const { rawId, response } = credential;
    const id = base64url(rawId);
    return { id, rawId: id, type: 'public-key', response: responseOf(response) };
  }
}

function responseOf(response: AuthenticatorResponse) {
  const clientDataJSON = base64url(response.clientDataJSON);
  if ('attestationObject' in response) {
    const { attestationObject } = response as AuthenticatorAttestationResponse;
    return {
      clientDataJSON,
      attestationObject: base64url(attestationObject),
      transports: transportsOf(response as AuthenticatorAttestationResponse),
    };
  }
  const { authenticatorData, signature, userHandle } = response as AuthenticatorAssertionResponse;
  return {
    clientDataJSON,
    authenticatorData: base64url(authenticatorData),
    signature: base64url(signature),
    userHandle: userHandle?.byteLength ? base64url(userHandle) : null,
  };
}

/** Transports are a hint for later logins and may be missing. */
function transportsOf(response: AuthenticatorAttestationResponse): string[] {
  try {
    return response.getTransports();
  } catch {
    return [];
  }
}

function base64url(bytes: ArrayBuffer): string {
  const text = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join('');
  return btoa(text).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

async function post<Answer>(client: Client, name: string, init: RequestInit): Promise<Answer> {
  const headers: Record<string, string> = init.body ? { 'content-type': 'application/json' } : {};
  const response = await client.fetch(`/v1/auth/${name}`, { ...init, method: 'POST', headers });
  const body = parseJson(await response.text());
  if (response.ok) return body as Answer;
  throw failureOf({ status: response.status, body });
}
