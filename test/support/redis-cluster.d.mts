import type { Certificate, Server } from './services.d.mts';

export interface RedisProcess extends Server {
  /** The output of a command, as redis-cli prints it. */
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
  /** The owner of a key, according to the first node that answers. */
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
