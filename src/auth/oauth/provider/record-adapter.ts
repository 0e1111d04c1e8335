import type { Adapter, AdapterPayload } from 'oidc-provider';
import type { Clock } from '../../../platform/runtime/clock.js';
import type { GrantCheck } from '../check/grant-check.js';
import type { OAuthRecordRepository } from './oauth-record.repository.js';

/** The last instant of a `Date`, in milliseconds since the epoch. */
const LATEST_DATE = 8.64e15;

/** The parts of the application that the adapter needs. */
export interface AdapterContext {
  records: OAuthRecordRepository;
  grants: Pick<GrantCheck, 'live'>;
  clock: Clock;
  /** How long a consumed refresh token is still accepted, in milliseconds: for a client that has lost the answer. */
  refreshGrace: number;
  /** The stored form of one of our own access tokens; null if it is none, or has expired. */
  readAccessToken: (token: string) => AdapterPayload | null;
  /** Ends a grant, because the app wants it or because one of its secrets was used twice. */
  endGrant: (id: string) => Promise<void>;
  /** The error for a second use. */
  alreadyUsed: () => Error;
}

/**
 * Stores what the provider library stores, in `oauth_records`. Three kinds are special:
 * - A grant counts only while our own record of it is live, so a grant that has ended yields no further token.
 * - A session of the library is never stored: each authorization asks for a session of ours.
 * - An access token is a JWT and is not stored. It is read from its own text.
 */
export class RecordAdapter implements Adapter {
  constructor(
    private readonly model: string,
    private readonly context: AdapterContext,
  ) {}

  async upsert(id: string, { jti: _secret, ...payload }: AdapterPayload, expiresIn: number): Promise<void> {
    if (this.model === 'Session') return;
    await this.context.records.save(this.model, id, {
      grantId: this.model === 'Grant' ? id : (payload.grantId ?? null),
      payload,
      expiresAt: new Date(this.context.clock.now() + expiresIn * 1_000),
    });
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    if (this.model === 'Session') return undefined;
    if (this.model === 'AccessToken') {
      const token = this.context.readAccessToken(id);
      if (token) return token;
    }
    const record = await this.context.records.find(this.model, id);
    if (!record || (this.model === 'Grant' && !(await this.context.grants.live(id)))) return undefined;
    const { payload, consumed_at: consumedAt } = record;
    const isSpent = consumedAt !== null && consumedAt.getTime() <= this.graceStart();
    return {
      ...payload,
      jti: id,
      ...(isSpent && { consumed: Math.floor(consumedAt.getTime() / 1_000) }),
    };
  }

  async consume(id: string): Promise<void> {
    const now = new Date(this.context.clock.now());
    const since = new Date(this.graceStart());
    if (!(await this.context.records.consume(this.model, id, { now, since })))
      throw this.context.alreadyUsed();
  }

  async destroy(id: string): Promise<void> {
    if (this.model === 'Session') return;
    if (this.model === 'Grant') await this.context.endGrant(id);
    else await this.context.records.remove(this.model, id);
  }

  /** Nothing remains to do: without their grant, its codes and refresh tokens are refused. */
  async revokeByGrantId(): Promise<void> {}

  /** Only sessions of the library and codes for devices are found in these ways. */
  async findByUid(): Promise<undefined> {}
  async findByUserCode(): Promise<undefined> {}

  /** A use after this instant may be repeated. Only a refresh token has such a grace. */
  private graceStart(): number {
    const { clock, refreshGrace } = this.context;
    return this.model === 'RefreshToken' ? clock.now() - refreshGrace : LATEST_DATE;
  }
}
