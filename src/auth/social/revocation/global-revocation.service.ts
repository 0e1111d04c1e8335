import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { defineAuditEvent } from '../../../platform/audit/audit-event-types.js';
import { AuditService } from '../../../platform/audit/audit.service.js';
import { Problem } from '../../../platform/api/problem.js';
import type { RequestContext } from '../../../platform/http/request.js';
import { databaseNow } from '../../../platform/persistence/database-now.js';
import { Clock } from '../../../platform/runtime/clock.js';
import type { Receipt } from '../../../sessions/revocation/receipt.js';
import { RevocationWriter, type RevocationTx } from '../../../sessions/revocation/revocation-writer.js';
import { RevocationService } from '../../../sessions/revocation/revocation.service.js';
import { UserRepository } from '../../../users/user.repository.js';
import { IdentityRepository } from '../identity.repository.js';
import type { SubjectId } from './global-revocation.schemas.js';
import { RevocationTokenVerifier, type RevocationToken } from './revocation-token.verifier.js';
import { UsedRevocationTokenRepository } from './used-revocation-token.repository.js';

const ENDED_BY_PROVIDER = defineAuditEvent('sessions_ended_by_provider');
const SUBJECT_UNKNOWN = defineAuditEvent('revocation_subject_unknown');

/**
 * Global Token Revocation: a provider ends everything of one of its users. It ends what a force-logout by an admin
 * ends: all sessions, the grants of apps and everything that the user has requested. API keys go on.
 */
@Injectable()
export class GlobalRevocationService {
  constructor(
    private readonly database: DataSource,
    private readonly tokens: RevocationTokenVerifier,
    private readonly used: UsedRevocationTokenRepository,
    private readonly identities: IdentityRepository,
    private readonly users: UserRepository,
    private readonly revocations: RevocationService,
    private readonly revocationWriter: RevocationWriter,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /**
   * The token is used up in the transaction of its effect: a call that fails can be repeated with the same token, and
   * one that succeeds cannot.
   *
   * @param text the token of the call; null if it has none
   * @returns `applied` if no session check accepts the sessions any more; `pending` as for a receipt
   * @throws Problem `resource.not_found` if the provider may not call, or has no such user; `auth.unauthenticated`;
   *   `auth.invalid_token`; `auth.unavailable`
   */
  async end(
    provider: string,
    text: string | null,
    subject: SubjectId,
    context: RequestContext,
  ): Promise<Receipt['status']> {
    const emailDomains = this.tokens.emailDomainsOf(provider);
    if (!emailDomains) throw new Problem('resource.not_found');
    if (text === null) throw new Problem('auth.unauthenticated');
    const token = await this.tokens.verify(provider, text);
    const userIds = await this.usersOf(subject, token.issuer, emailDomains);
    const [first] = userIds;
    if (first === undefined) return this.refuse(token, subject, context);
    const work = (tx: RevocationTx) => this.endAll(tx, userIds, token, context);
    const seqs = await this.revocations.commit(first, work, { reserved: true });
    if (!seqs) throw this.tokens.refusal(provider, new Error('used before'));
    const receipts = await Promise.all(seqs.map((seq) => this.revocations.receiptFor(seq)));
    return receipts.every((receipt) => receipt?.status === 'applied') ? 'applied' : 'pending';
  }

  /**
   * A provider speaks only for its own users. An address alone names no user of it, unless the operator has given the
   * provider the domain: then it could end the sessions anyway, by a reset of the password.
   *
   * @returns in the order of their ids, in which they are locked
   */
  private async usersOf(
    subject: SubjectId,
    issuer: string,
    emailDomains: readonly string[],
  ): Promise<string[]> {
    if (subject.format === 'iss_sub') {
      const isOwn = subject.iss === issuer;
      const identity = isOwn && (await this.identities.find({ issuer, subject: subject.sub }));
      return identity ? [identity.userId] : [];
    }
    const { email } = subject;
    const linked = await this.identities.usersOf(issuer, email);
    const isInDomain = emailDomains.includes(email.slice(email.indexOf('@') + 1));
    const owner = isInDomain ? await this.users.findByEmail(email) : null;
    return [...new Set([...linked, ...(owner ? [owner.id] : [])])].sort();
  }

  /** @returns the numbers of the revocations; null if the token was used before */
  private async endAll(
    tx: RevocationTx,
    userIds: string[],
    token: RevocationToken,
    context: RequestContext,
  ): Promise<string[] | null> {
    if (!(await this.use(tx, token))) return null;
    const { provider: by, tokenId } = token;
    const details = { by, tokenId };
    const cause = { reason: 'admin', actorId: null, context, audit: ENDED_BY_PROVIDER, details } as const;
    const seqs: string[] = [];
    for (const userId of userIds) {
      const { revocation } = await this.revocationWriter.endSessions(tx, userId, 'all', cause);
      seqs.push(revocation.seq);
    }
    return seqs;
  }

  /** The token is used up as well, so that a copy of it cannot try one subject after another. */
  private async refuse(
    token: RevocationToken,
    { format }: SubjectId,
    context: RequestContext,
  ): Promise<never> {
    const isNew = await this.database.transaction(async (tx) => {
      if (!(await this.use(tx, token))) return false;
      const details = { by: token.provider, tokenId: token.tokenId, format };
      await this.audit.record(tx, { type: SUBJECT_UNKNOWN, context, details });
      return true;
    });
    if (isNew) throw new Problem('resource.not_found');
    throw this.tokens.refusal(token.provider, new Error('used before'));
  }

  private async use(tx: EntityManager, token: RevocationToken): Promise<boolean> {
    const now = await databaseNow(tx, this.clock);
    await this.used.deleteExpired(tx, now);
    return this.used.insert(tx, token, now);
  }
}
