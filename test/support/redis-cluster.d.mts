import type { Certificate, Server } from './services.d.mts';

export interface RedisProcess extends Server {
  /** What redis-cli would answer. */
  command<Answer = string>(...words: (string | number)[]): Promise<Answer>;
}

export interface ClusterNode extends RedisProcess {
  readonly id: string;
}

export interface RedisCluster {
  /** For REDIS_URL. */
  url: string;
  /** The masters first, then for each round of replicas one of each master. */
  nodes: ClusterNode[];
  /** Who answers for a key, in the eyes of whoever answers first. */
  ownerOf(key: string): Promise<ClusterNode>;
  stop(): Promise<void>;
}

export function startRedisProcess(args?: string[]): Promise<RedisProcess | null>;
export function startRedisCluster(options?: {
  masters?: number;
  replicas?: number;
  args?: string[];
  /** The ports on which the nodes speak TLS, low enough for a bus port 10,000 higher. */
  tls?: Certificate & { ports: number[]; authorityFile: string };
}): Promise<RedisCluster | null>;
