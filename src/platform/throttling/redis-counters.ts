import { RedisCalls } from '../cache/redis-calls.js';

/**
 * The subset of a node-redis client that the counters need. It sends a script with one key to the server that has
 * this key.
 */
export class RedisCounters extends RedisCalls {
  /** @throws as {@link ask} */
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown> {
    return this.ask(options.keys[0]!, ({ client }) => client.eval(script, options));
  }

  /** @throws as {@link ask} */
  del(key: string): Promise<unknown> {
    return this.ask(key, ({ client }) => client.del(key));
  }
}
