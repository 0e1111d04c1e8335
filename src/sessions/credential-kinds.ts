import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Caller } from '../platform/http/request.js';

/** An end of credentials, as their records keep it. */
export interface CredentialEnd {
  reason: string;
  at: Date;
  /** The number of the revocation. */
  seq: string;
}

/**
 * A kind of credential beside sessions, such as API keys. Its ids are version 7 UUIDs, so that revocations, the denial
 * list and the cache handle them as they handle sessions.
 */
export interface CredentialKind {
  /**
   * Locks the live credentials of a user that end together with all sessions, if they do for this reason.
   *
   * @returns their ids
   */
  lockToEnd(tx: EntityManager, userId: string, reason: string): Promise<string[]>;
  /** Ends credentials whose records are locked. */
  end(tx: EntityManager, ids: string[], end: CredentialEnd): Promise<void>;
  /** The ids of the user's live credentials, whose cached entries contain facts about the user. */
  liveOf(tx: EntityManager, userId: string): Promise<string[]>;
  /**
   * The ids of the user's credentials that these revocations ended. Only for a kind whose records are cached.
   *
   * @param seqs the numbers of the revocations
   */
  endedBy?(tx: EntityManager, userId: string, seqs: string[]): Promise<string[]>;
  /**
   * Locks a live credential until the transaction ends, so that its end waits for the commit.
   *
   * @throws Problem when the credential is no longer live
   */
  lockLive(tx: EntityManager, caller: Caller): Promise<void>;
}

/** The kinds of credentials beside sessions. The module of each kind registers it in a constructor. */
@Injectable()
export class CredentialKinds {
  private readonly kinds = new Map<Caller['kind'], CredentialKind>();

  register(name: Exclude<Caller['kind'], 'session'>, kind: CredentialKind): void {
    this.kinds.set(name, kind);
  }

  /** Locks what ends together with all sessions of a user. @returns the ids, and a function that ends them */
  async lockToEnd(
    tx: EntityManager,
    userId: string,
    reason: string,
  ): Promise<{ ids: string[]; end: (end: CredentialEnd) => Promise<void> }> {
    const locked: { kind: CredentialKind; ids: string[] }[] = [];
    for (const kind of this.kinds.values()) {
      const ids = await kind.lockToEnd(tx, userId, reason);
      if (ids.length > 0) locked.push({ kind, ids });
    }
    return {
      ids: locked.flatMap(({ ids }) => ids),
      end: async (end) => {
        for (const { kind, ids } of locked) await kind.end(tx, ids, end);
      },
    };
  }

  /** Ends one credential, whatever its kind is. Without effect if the id is that of no credential. */
  async endAny(tx: EntityManager, id: string, end: CredentialEnd): Promise<void> {
    for (const kind of this.kinds.values()) await kind.end(tx, [id], end);
  }

  /** See {@link CredentialKind.liveOf}, for all kinds. */
  async liveOf(tx: EntityManager, userId: string): Promise<string[]> {
    const ids: string[] = [];
    for (const kind of this.kinds.values()) ids.push(...(await kind.liveOf(tx, userId)));
    return ids;
  }

  /** See {@link CredentialKind.endedBy}, for all kinds. */
  async endedBy(tx: EntityManager, userId: string, seqs: string[]): Promise<string[]> {
    const ids: string[] = [];
    for (const kind of this.kinds.values()) ids.push(...((await kind.endedBy?.(tx, userId, seqs)) ?? []));
    return ids;
  }

  /** See {@link CredentialKind.lockLive}. */
  async lockLive(tx: EntityManager, caller: Caller): Promise<void> {
    await this.kinds.get(caller.kind)!.lockLive(tx, caller);
  }
}
