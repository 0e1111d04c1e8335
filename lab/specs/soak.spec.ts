import { afterAll, expect, it, jest } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { makeCertificates } from '../../test/support/certificates.js';
import { describeWithProxy, DOMAIN } from '../soak/proxies.js';
import { soakReport } from '../soak/report.js';
import { Soak } from '../soak/soak.js';

/**
 * Real: two instances in production mode, nginx, PostgreSQL, Redis. `npm run soak` runs it for 30 minutes and writes
 * docs/evidence/soak.md; without SOAK_MINUTES it is one round.
 */

const MINUTES = Number(process.env['SOAK_MINUTES'] ?? 0);
const MOST_FAILURES_SHOWN = 20;
jest.setTimeout((MINUTES + 15) * 60_000);

describeWithProxy('nginx', 'two instances behind nginx', () => {
  let soak: Soak;
  afterAll(() => soak?.stop());

  it('lose nothing by restarts, stores that are away and slow clients, outside the seconds in which a store is away', async () => {
    const { authority, server } = makeCertificates(DOMAIN);
    soak = await Soak.begin(authority, server, MINUTES > 0 ? 12 : 4);
    await soak.run(MINUTES);
    const wrong = await soak.wrongPayments();
    if (MINUTES > 0) writeFileSync('docs/evidence/soak.md', soakReport(soak, wrong));
    expect(soak.load.failures.slice(0, MOST_FAILURES_SHOWN)).toEqual([]);
    expect(wrong).toEqual([]);
    expect(soak.load.paid.size).toBeGreaterThan(0);
  });
});
