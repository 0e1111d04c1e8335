import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../logging/logger.js';
import { keyFilePath, keysFor, readKeyFile } from './key-file.js';
import { keyIdOf, type EncryptionKey, type KeyKind, type Keys } from './key-format.js';
import { inUse, isGood, startOf, type Term } from './key-schedule.js';
import type { Settings } from '../settings/settings.js';
import { sha256 } from '../runtime/sha256.js';

/** The current keys. They change at runtime, by the clock and when the key file changes. */
export class KeyStore {
  /** Why the key file cannot be used. This instance may then lack a key with which others will sign. */
  problem: string | null = null;

  constructor(private keys: Keys) {}

  /** A new object after each change of the file. */
  get current(): Keys {
    return this.keys;
  }

  /** Takes effect from the next use on. Operations that have already read a key finish with it. */
  replace(keys: Keys): void {
    this.keys = keys;
  }

  /**
   * The secret for new refresh tokens.
   * @param now ms since the epoch
   */
  mintingSecret(now: number): Buffer {
    return inUse(this.keys.refreshSecrets, now).secret;
  }

  /** Newest first, because most tokens belong to the newest secret. */
  verifyingSecrets(now: number): Buffer[] {
    return this.keys.refreshSecrets.filter((term) => isGood(term, now)).map(({ secret }) => secret);
  }

  /** The key that encrypts now. */
  encryptionKey(now: number): EncryptionKey {
    return inUse(this.keys.encryption, now);
  }

  /** The key that decrypts data of this key id, if the file still has it. */
  decryptionKey(id: string): EncryptionKey | undefined {
    return this.keys.encryption.find((key) => key.id === id);
  }
}

/**
 * Loads changes of the key file into a running instance. It reads the file every second and compares the content,
 * which works equally for swapped links (Kubernetes), replaced files and network file systems.
 */
export class KeyFileWatcher {
  private contentSeen: string | null = null;
  private stagesSeen: string;

  constructor(
    private readonly settings: Pick<Settings, 'keysFile' | 'dataDir' | 'nodeEnv'>,
    private readonly store: KeyStore,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.stagesSeen = this.stages();
  }

  /** Replaces all keys at once or none: if the file cannot be read, the current keys stay. */
  async poll(): Promise<void> {
    try {
      const text = await readKeyFile(keyFilePath(this.settings));
      const content = sha256(text).toString('base64');
      if (content !== this.contentSeen) this.store.replace(keysFor(this.settings, text));
      this.contentSeen = content;
      this.tellProblem(null);
    } catch (error) {
      this.tellProblem(error as Error);
    }
    this.tellStages();
  }

  /** Logs a problem once when it appears and once when it is gone, not every second. */
  private tellProblem(error: Error | null): void {
    const problem = error && error.message;
    if (problem === this.store.problem) return;
    if (problem)
      this.logger.error(
        { problem },
        'the key file cannot be used; the keys that were read before stay in use',
      );
    else this.logger.info('the key file can be used again');
    this.store.problem = problem;
  }

  /** Logs the stages when the file adds or removes a key, and when a key starts or retires by time. */
  private tellStages(): void {
    const stages = this.stages();
    if (stages !== this.stagesSeen)
      this.logger.info({ event: 'sys_keys_changed', keys: JSON.parse(stages) }, 'the keys have changed');
    this.stagesSeen = stages;
  }

  private stages(): string {
    const now = this.clock.now();
    return JSON.stringify(
      stagesOf(this.store.current, now).map(({ kind, name, stage }) => `${stage} ${kind} ${name}`),
    );
  }
}

/** The role of each key at an instant, by name: for logs and operators. */
export interface KeyStage {
  kind: KeyKind;
  name: string;
  /** `next` waits for its start, `current` signs, mints or encrypts, `former` only verifies or decrypts. */
  stage: 'next' | 'current' | 'former';
  term: Term;
}

/** The stages of all keys that are valid at `now` (ms since the epoch). */
export function stagesOf({ signing, refreshSecrets, encryption }: Keys, now: number): KeyStage[] {
  return [
    ...stages('signing', signing, ({ kid }) => kid, { now, current: inUse(signing, now) }),
    ...stages('refresh', refreshSecrets, ({ secret }) => keyIdOf(secret), {
      now,
      current: inUse(refreshSecrets, now),
    }),
    ...stages('encryption', encryption, ({ id }) => id, { now, current: inUse(encryption, now) }),
  ];
}

function stages<T extends Term>(
  kind: KeyStage['kind'],
  terms: readonly T[],
  name: (term: T) => string,
  { now, current }: { now: number; current: T },
): KeyStage[] {
  return terms
    .filter((term) => isGood(term, now))
    .map((term) => ({
      kind,
      name: name(term),
      stage: term === current ? 'current' : startOf(term) > now ? 'next' : 'former',
      term,
    }));
}
