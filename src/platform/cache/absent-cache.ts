import { CachePort, CacheUnavailable } from './cache-port.js';

/**
 * For a command that does not know the cache of the instances: a cache that never answers. So the command acknowledges no
 * revocation in the name of an instance, and the revocation dispatcher of each instance writes it to its own cache.
 */
export class AbsentCache extends CachePort {
  override readonly kind = 'absent';

  override readMany = unavailable;
  override setIfAbsent = unavailable;
  override compareAndSet = unavailable;
  override setMany = unavailable;
  override deleteMany = unavailable;
  override ping = unavailable;
}

function unavailable(): Promise<never> {
  return Promise.reject(new CacheUnavailable());
}
