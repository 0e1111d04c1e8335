import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { random } from '../../src/platform/runtime/random.js';
import { SNAPSHOT_COLUMNS, SNAPSHOT_TABLES } from '../../src/sessions/check/session-snapshot.repository.js';
import { resetStores, startApp, type TestApp } from '../../test/support/app.js';

/** Real: PostgreSQL and its planner. */
describe('the query of sessions after a cache miss and in a strict check', () => {
  let app: TestApp;
  beforeAll(async () => {
    await resetStores();
    app = await startApp();
  });
  afterAll(() => app.close());

  interface Plan {
    'Plan Rows': number;
    Plans?: Plan[];
  }

  /** A table of one row that was never analysed is planned as thousands: joined, it made every batch worth compiling (JIT). */
  it('is planned for as many rows as requested sessions, even without statistics', async () => {
    const ids = Array.from({ length: 32 }, () => random.uuid());
    const [row] = await app.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
      `explain (format json) select ${SNAPSHOT_COLUMNS} from ${SNAPSHOT_TABLES} where s.id = any($1::uuid[])`,
      [ids],
    );
    expect(row!['QUERY PLAN'][0].Plan['Plan Rows']).toBeLessThanOrEqual(ids.length);
  });
});
