import type { Clock } from '../runtime/clock.js';
import type { Logger } from '../logging/logger.js';
import { keyFilePath, keysFor, readKeyFile } from './key-file.js';
import { stagesOf } from './key-stages.js';
import type { KeyStore } from './key-store.js';
import type { Settings } from '../settings/settings.js';
import { sha256 } from '../runtime/sha256.js';

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
