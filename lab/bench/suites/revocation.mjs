import { feedLatency, raceAgainstChecks } from './revocation-latency.mjs';
import { redisDeath } from './redis-death.mjs';
import { denialList } from './denial-list.mjs';

/**
 * The cost of the end of a session, its latency on all instances, and the number of checks that were accepted
 * wrongly.
 */
export async function run(world, tools) {
  const instances = [await world.instance(), await world.instance()];
  await feedLatency(world, instances, tools);
  await raceAgainstChecks(world, instances, tools);
  await redisDeath(world, instances, tools);
  for (const { stop } of instances) await stop();
  await denialList(world, tools);
}
