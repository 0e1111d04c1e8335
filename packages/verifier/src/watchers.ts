import type { DeniableToken, DenialList, Ended } from './denial-list.js';

interface Watcher {
  principal: DeniableToken;
  onEnd: (ended: Ended) => void;
}

/** The open connections of callers. A revocation ends those whose session or token it denies. */
export class Watchers {
  private readonly watchers = new Set<Watcher>();
  private lookedAt = 0;

  constructor(private readonly denials: DenialList) {}

  /** Calls back at once if the caller is denied already: a revocation may arrive between the check and this call. */
  add(principal: DeniableToken, onEnd: (ended: Ended) => void): () => void {
    const watcher = { principal, onEnd };
    this.watchers.add(watcher);
    this.judge(watcher);
    return () => void this.watchers.delete(watcher);
  }

  /** Call it when the list may have new denials. */
  look(): void {
    if (this.lookedAt === this.denials.revision) return;
    this.lookedAt = this.denials.revision;
    for (const watcher of this.watchers) this.judge(watcher);
  }

  private judge(watcher: Watcher): void {
    const { principal } = watcher;
    const ended = this.denials.endOf(principal) ?? this.denials.endOfToken(principal);
    if (!ended) return;
    this.watchers.delete(watcher);
    watcher.onEnd(ended);
  }
}
