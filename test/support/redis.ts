/** A group of tests that can't run without a Redis; the reporter lists them, and CI fails, when there is none. */
export function describeWithRedis(name: string, fn: () => void): void {
  if (process.env['TEST_REDIS_URL']) describe(name, fn);
  else describe.skip(`${name} (${process.env['DRAWBRIDGE_TEST_REDIS_ORIGIN']})`, fn);
}
