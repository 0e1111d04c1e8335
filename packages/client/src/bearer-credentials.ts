import type { Grant } from './api-types.js';
import { renewAtOf, type AuthRequest, type Credentials, type Held } from './credentials.js';
import { AuthUnavailable } from './errors.js';
import type { Time } from './time.js';

/** The tokens of a bearer session. All of them are secret except `userId` and `renewAt`. */
export interface Tokens {
  accessToken?: string;
  refreshToken?: string;
  /** Outlives the session: at the next login the server recognizes the installation by it. */
  deviceToken?: string;
  userId?: string;
  renewAt?: number;
}

/**
 * Where an app keeps its tokens, such as a keychain or a file. Tabs or processes may share it. `set` replaces
 * everything, and must have written it when it resolves, since the previous tokens soon become useless.
 */
export interface TokenStorage {
  get(): Tokens | null | undefined | Promise<Tokens | null | undefined>;
  set(tokens: Tokens): void | Promise<void>;
}

/** The default storage: the tokens are lost when the page or the process ends. */
export function memoryStorage(): TokenStorage {
  let kept: Tokens = {};
  return { get: () => kept, set: (tokens) => void (kept = tokens) };
}

interface HeldTokens extends Held {
  tokens: Tokens;
}

/** The credentials of a bearer session, in a storage that other tabs or processes may share. */
export class BearerCredentials implements Credentials {
  readonly mode = 'omit';
  readonly transport = 'bearer';
  private known: Tokens | null = null;
  private over: string | undefined;

  constructor(
    private readonly storage: TokenStorage,
    private readonly time: Time,
  ) {}

  async held(): Promise<Held> {
    return this.known ? heldOf(this.known) : this.look();
  }

  async look(): Promise<HeldTokens> {
    return heldOf((this.known = await this.read()));
  }

  async isBack(userId: string | undefined): Promise<boolean> {
    const { tokens } = await this.look();
    return tokens.refreshToken !== undefined && tokens.refreshToken !== this.over && tokens.userId === userId;
  }

  async loginRequest(login: object): Promise<AuthRequest> {
    const { tokens } = await this.look();
    return { headers: deviceHeader(tokens), body: { ...login, transport: 'bearer' } };
  }

  async secondStepRequest(step: object): Promise<AuthRequest> {
    const { tokens } = await this.look();
    return { headers: deviceHeader(tokens), body: step };
  }

  reauthenticationRequest(held: Held, proof: object): AuthRequest {
    return { headers: { ...held.headers, ...deviceHeader(tokensOf(held)) }, body: proof };
  }

  refreshRequest(held: Held): AuthRequest | null {
    const { refreshToken, ...tokens } = tokensOf(held);
    return refreshToken ? { headers: deviceHeader(tokens), body: { refreshToken } } : null;
  }

  logoutRequest(held: Held): AuthRequest | null {
    const { refreshToken } = tokensOf(held);
    return refreshToken ? { body: { refreshToken } } : null;
  }

  begin(grant: Grant): Promise<Held> {
    return this.keep(grant, this.known ?? {});
  }

  /**
   * If another tab has refreshed, logged out or logged in meanwhile, the stored tokens are newer than `grant` and
   * stay.
   */
  async renew(grant: Grant, before: Held): Promise<Held> {
    const stored = await this.look();
    if (stored.tokens.refreshToken !== tokensOf(before).refreshToken) return stored;
    return this.keep(grant, stored.tokens);
  }

  async restrict(held: Held, accessToken: string | undefined): Promise<Held> {
    return this.write({ ...tokensOf(held), accessToken, renewAt: undefined });
  }

  async drop(held: Held): Promise<void> {
    const { refreshToken } = tokensOf(held);
    this.over = refreshToken;
    const { tokens } = await this.look();
    if (tokens.refreshToken !== refreshToken) return;
    await this.write(tokens.deviceToken ? { deviceToken: tokens.deviceToken } : {});
  }

  close(): void {}

  private keep(grant: Grant, { deviceToken }: Tokens): Promise<Held> {
    return this.write({
      accessToken: grant.accessToken,
      refreshToken: grant.refreshToken,
      deviceToken: grant.deviceToken ?? deviceToken,
      userId: grant.user.id,
      renewAt: renewAtOf(grant.expiresIn, this.time.now()),
    });
  }

  /** Stores the tokens before the client uses them: tokens that only one call knows would be lost with that call. */
  private async write(tokens: Tokens): Promise<Held> {
    await this.storing(() => this.storage.set(tokens));
    return heldOf((this.known = tokens));
  }

  private async read(): Promise<Tokens> {
    return (await this.storing(() => this.storage.get())) ?? {};
  }

  /** A storage such as a keychain may be locked for a moment. The client does not log the user out for that. */
  private async storing<T>(act: () => T | Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (cause) {
      throw new AuthUnavailable('the storage of the tokens failed', { cause });
    }
  }
}

function heldOf(tokens: Tokens): HeldTokens {
  const { accessToken, refreshToken, userId, renewAt } = tokens;
  return {
    mark: accessToken ?? refreshToken,
    usable: accessToken !== undefined || refreshToken === undefined,
    headers: accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` },
    userId,
    renewAt,
    tokens,
  };
}

const tokensOf = (held: Held): Tokens => (held as HeldTokens).tokens;

function deviceHeader({ deviceToken }: Tokens): Record<string, string> {
  return deviceToken === undefined ? {} : { 'x-device-token': deviceToken };
}
