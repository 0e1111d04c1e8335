import { Injectable, type MessageEvent } from '@nestjs/common';
import { random } from '../../platform/runtime/random.js';
import type { ApiKeyCaller } from '../api-keys/api-key.js';

/** A verifier or relay that follows the feed of this instance: one open stream. */
export interface FeedFollower {
  /** Of the stream. Several followers may have one key. */
  id: string;
  apiKeyId: string;
  /** Of the key. */
  name: string;
}

/** The facts of a revocation event that its delay is measured by. */
export interface SentRevocation {
  seq: number;
  createdAt: number;
}

type Listener = (follower: FeedFollower, revocation: SentRevocation) => void;

/** The followers of this instance's revocation feed, for admins who watch it. */
@Injectable()
export class FeedFollowers {
  private readonly all = new Set<FeedFollower>();
  private listener: Listener | null = null;

  get size(): number {
    return this.all.size;
  }

  /** The followers that have been connected for longest. */
  list(limit: number): FeedFollower[] {
    return [...this.all].slice(0, limit);
  }

  /** Calls the listener for each revocation that is written to a follower's connection; null ends it. */
  onSent(listener: Listener | null): void {
    this.listener = listener;
  }

  add({ id: apiKeyId, name }: Pick<ApiKeyCaller, 'id' | 'name'>): FeedFollower {
    const follower = { id: random.uuid(), apiKeyId, name };
    this.all.add(follower);
    return follower;
  }

  remove(follower: FeedFollower): void {
    this.all.delete(follower);
  }

  /** Call it for each event that is written to a follower's connection. */
  sent(follower: FeedFollower, { type, data }: MessageEvent): void {
    if (this.listener === null || type !== 'revocation') return;
    this.listener(follower, JSON.parse(data as string) as SentRevocation);
  }
}
