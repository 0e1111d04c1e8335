import { Injectable } from '@nestjs/common';
import type { RequestContext } from '../../../platform/http/request.js';
import { MailOutbox } from '../../../platform/mail/mail-outbox.js';
import { databaseNow } from '../../../platform/persistence/database-now.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { RevocationService } from '../../../sessions/revocation/revocation.service.js';
import { UserRepository } from '../../../users/user.repository.js';
import { ApiKeyFormat } from '../api-key-format.js';
import { ApiKeyRepository } from '../api-key.repository.js';
import { ApiKeysService } from '../api-keys.service.js';
import { isLive, rotationOf } from '../check/api-key-check.js';
import { API_KEY_LEAKED_MAIL } from '../mails.js';

/** A finding of a secret scanner. */
export interface Leak {
  token: string;
  type: string;
  url?: string | null;
}

/** Ends API keys that were found in public. */
@Injectable()
export class LeakedKeysService {
  constructor(
    private readonly format: ApiKeyFormat,
    private readonly keys: ApiKeyRepository,
    private readonly apiKeys: ApiKeysService,
    private readonly users: UserRepository,
    private readonly revocations: RevocationService,
    private readonly mails: MailOutbox,
    private readonly clock: Clock,
  ) {}

  /** Ends the keys of a report that are real. A report that is repeated gets the same answer. */
  async end(leaks: Leak[], context: RequestContext) {
    const verdicts = [];
    for (const leak of leaks) {
      const isReal = await this.endIfReal(leak, context);
      verdicts.push({
        token_raw: leak.token,
        token_type: leak.type,
        label: isReal ? ('true_positive' as const) : ('false_positive' as const),
      });
    }
    return verdicts;
  }

  /** Whether the text is a key of this service with a secret that is accepted, or was when the key ended. */
  private async endIfReal({ token, url }: Leak, context: RequestContext): Promise<boolean> {
    const parsed = this.format.parse(token);
    const userId = parsed && (await this.keys.ownerOf(parsed.id));
    if (!userId) return false;
    const receipt = await this.revocations.commit(
      userId,
      async (tx) => {
        const user = await this.users.lock(tx, userId);
        const key = await this.keys.lock(tx, parsed.id);
        const now = await databaseNow(tx, this.clock);
        if (!key || rotationOf(key, parsed.digest, now.getTime()) === null) return null;
        if (isLive(key, now.getTime()) && user?.email) {
          const facts = { name: key.name, where: url, at: now.toISOString() };
          await this.mails.add(tx, user.email, API_KEY_LEAKED_MAIL, facts);
        }
        const cause = { reason: 'leaked', actorId: null, context, details: { url: url ?? null } } as const;
        return this.apiKeys.endLocked(tx, parsed.id, cause);
      },
      { reserved: true },
    );
    return receipt !== null;
  }
}
