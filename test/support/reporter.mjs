/**
 * Prints which servers the run used and which tests did not run, so that a green result can't be mistaken for a
 * complete one. Its last line is "N passed, N failed, N skipped".
 */
export default class ServicesReporter {
  #chosen;
  #watching;
  #text = '';
  #error;

  constructor({ testNamePattern, watch, watchAll }) {
    this.#chosen = Boolean(testNamePattern); // with -t, Jest counts excluded tests as skipped
    this.#watching = watch || watchAll;
  }

  onRunComplete(_contexts, results) {
    const skipped = this.#chosen ? [] : listSkipped(results);
    const passed = results.numPassedTests;
    // A file that can't be loaded has no tests to fail, and is a failure all the same.
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;

    this.#error = undefined;
    if (process.env.CI && skipped.length > 0) this.#error = new Error('In CI every test has to run.');
    if (process.env.CI && passed + failed === 0) this.#error = new Error('In CI some test has to run.');

    const totals = `${passed} passed, ${failed} failed, ${results.numPendingTests + results.numTodoTests} skipped`;
    this.#print([
      ...describeServices(),
      ...warnOf(skipped),
      ...(this.#error ? [this.#error.message] : []),
      totals,
    ]);
  }

  /** Jest fails the run when a reporter has one. */
  getLastError() {
    return this.#error;
  }

  /** Jest's own summary and the coverage table come after onRunComplete; the totals must be the last line. */
  #print(lines) {
    if (!this.#watching && !this.#text) process.once('exit', () => process.stdout.write(this.#text));
    this.#text = `\n${lines.join('\n')}\n`;
    if (this.#watching) process.stdout.write(this.#text);
  }
}

function listSkipped(results) {
  return results.testResults.flatMap(({ testResults }) =>
    testResults
      .filter(({ status }) => ['pending', 'todo', 'skipped', 'disabled'].includes(status))
      .map(({ fullName, status }) => (status === 'todo' ? `${fullName} (todo)` : fullName)),
  );
}

function describeServices() {
  const { DRAWBRIDGE_TEST_DATABASE_ORIGIN: postgres, DRAWBRIDGE_TEST_REDIS_ORIGIN: redis } = process.env;
  return postgres ? [`Database: ${postgres}`, `Redis:    ${redis}`] : [];
}

function warnOf(skipped) {
  if (skipped.length === 0) return [];
  const bar = '!'.repeat(78);
  const reason = process.env.DRAWBRIDGE_TEST_REDIS_URL_STEM ? [] : [process.env.DRAWBRIDGE_TEST_REDIS_ORIGIN];
  const title = `${skipped.length} ${skipped.length === 1 ? 'TEST' : 'TESTS'} DID NOT RUN`;
  return ['', bar, title, ...reason, ...skipped.map((name) => `  - ${name}`), bar, ''];
}
