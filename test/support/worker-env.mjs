/**
 * Gives each Jest worker a database of its own and a Redis database of its own, so that workers are isolated. The
 * URLs of the global setup end where the worker's number belongs.
 */
const { JEST_WORKER_ID, DRAWBRIDGE_TEST_DATABASE_URL_STEM, DRAWBRIDGE_TEST_REDIS_URL_STEM } = process.env;

function ofThisWorker(stem) {
  const url = new URL(stem);
  url.pathname += JEST_WORKER_ID;
  return url.href;
}

process.env.TEST_DATABASE_URL = ofThisWorker(DRAWBRIDGE_TEST_DATABASE_URL_STEM);
if (DRAWBRIDGE_TEST_REDIS_URL_STEM) process.env.TEST_REDIS_URL = ofThisWorker(DRAWBRIDGE_TEST_REDIS_URL_STEM);
else delete process.env.TEST_REDIS_URL;

// A developer's own servers: no test may write to them by accident.
delete process.env.DATABASE_URL;
delete process.env.REDIS_URL;

// `oidc-provider` prints this whenever it is loaded on Node 20.
const { warn } = console;
console.warn = (text, ...more) => {
  if (!String(text).includes('oidc-provider WARNING: Unsupported runtime')) warn(text, ...more);
};
