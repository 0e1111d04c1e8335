import { createHash } from 'node:crypto';
import type { Clock } from '../common/clock.js';
import { every } from '../common/every.js';
import type { Logger } from '../common/logger.js';
import { keyFilePath, keysFor, readKeyFile } from './key-file.js';
import { RELOAD_INTERVAL_MS } from './key-schedule.js';
import { stagesOf } from './key-stages.js';
import type { KeyStore } from './key-store.js';
import type { Settings } from './settings.js';

/**
 * Brings what the key file says to a serving instance. It reads the file each second and compares the content:
 * links that are swapped (Kubernetes), files that are replaced and network file systems look alike that way.
 */
export class KeyFollower {
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

  /** @returns what stops it */
  start(): () => void {
    return every(
      RELOAD_INTERVAL_MS,
      () => this.poll(),
      (error) => this.tellProblem(error as Error),
    );
  }

  /** Keys change all at once or not at all: what cannot be read leaves those that we have. */
  async poll(): Promise<void> {
    try {
      const text = await readKeyFile(keyFilePath(this.settings));
      const content = createHash('sha256').update(text).digest('base64');
      if (content !== this.contentSeen) this.store.replace(keysFor(this.settings, text));
      this.contentSeen = content;
      this.tellProblem(null);
    } catch (error) {
      this.tellProblem(error as Error);
    }
    this.tellStages();
  }

  /** Once when it comes and once when it has gone, not each second. */
  private tellProblem(error: Error | null): void {
    const problem = error && error.message;
    if (problem === this.store.problem) return;
    if (problem)
      this.logger.error({ problem }, 'the key file cannot be used: the keys that were read before stay');
    else this.logger.info('the key file can be used again');
    this.store.problem = problem;
  }

  /** When the file brings a key or takes one, and when time makes one sign or retire. */
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
