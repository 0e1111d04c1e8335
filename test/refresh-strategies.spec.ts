import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  honestSchedule,
  logsOut,
  refreshesUntilOut,
  theft,
  STAYS_AFTER,
} from './support/refresh-strategies/schedules.js';
import { ours, STRATEGIES, type Strategy } from './support/refresh-strategies/strategies.js';

/** Real: rotation.ts. Modelled: the other strategies, the network, the jar, the thief. */

const SEED = 20_261_121;
const COUNT = 10_000;
const PAGE = join(import.meta.dirname, '../docs/refresh-strategies.md');

const honest = fc.sample(honestSchedule, { seed: SEED, numRuns: COUNT });
const thefts = fc.sample(theft, { seed: SEED, numRuns: COUNT });

interface Row {
  name: string;
  loggedOut: number;
  loggedOutSlowly: number;
  token: Thieves;
  jar: Thieves;
}
interface Thieves {
  stay: number;
  most: number;
}

function play<State, Token>(strategy: Strategy<State, Token>): Row {
  const count = (longest: number) => honest.filter((schedule) => logsOut(strategy, schedule, longest)).length;
  const thieves = (jar: boolean): Thieves => {
    const outcomes = thefts.map((schedule) => refreshesUntilOut(strategy, schedule, jar));
    const out = outcomes.filter((refreshes) => refreshes !== null);
    return { stay: outcomes.length - out.length, most: Math.max(0, ...out) };
  };
  return {
    name: strategy.name,
    loggedOut: count(3_000),
    loggedOutSlowly: count(60_000),
    token: thieves(false),
    jar: thieves(true),
  };
}

const rows = STRATEGIES.map((strategy) => play(strategy as Strategy<unknown, unknown>));

it('ours logs nobody out whose exchanges take no longer than a third of the grace', () => {
  const [own] = rows.filter(({ name }) => name === ours.name);
  expect(own).toMatchObject({
    loggedOut: 0,
    token: { stay: 0, most: 1 },
    jar: { stay: 0, most: 2 },
  });
});

it('each of the others loses honest people or shelters thieves, by the same schedules', () => {
  for (const { name, loggedOut, token, jar } of rows)
    if (name !== ours.name) expect(loggedOut + token.stay + jar.stay).toBeGreaterThan(0);
});

it('the page says what comes out (else: `npm run compare:refresh`)', async () => {
  if (process.env['WRITE_PAGE']) await writeFile(PAGE, page());
  expect(await readFile(PAGE, 'utf8')).toBe(page());
});

function page(): string {
  const of = (count: number) => count.toLocaleString('en');
  const line = ({ name, loggedOut, loggedOutSlowly, token, jar }: Row) =>
    `| ${name} | ${of(loggedOut)} | ${of(loggedOutSlowly)} | ${of(token.stay)} (${token.most}) | ${of(jar.stay)} (${jar.most}) |`;
  return `# Ways to rotate refresh tokens, compared

The same ${of(COUNT)} random schedules of honest browsers and the same ${of(COUNT)} thefts, played to four ways of rotating. \`npm run compare:refresh\` makes this
page (seed ${SEED}); a test plays it again and compares. Ours is the function that is shipped, the others are models of their rule, in \`test/support/refresh-strategies\`.

| | honest people logged out, answers within 3 s | the same, answers within 60 s | thieves of the token who stay | thieves of the whole jar who stay |
|---|---|---|---|---|
${rows.map(line).join('\n')}

- **An honest browser** has one to four tabs over one cookie jar. They send, lose requests and answers, get answers late and out of order, and are away for up to 20 days, 20 to 80 steps long. What takes longer than the column says is given
  up and tried again, as by a client's time-out.
- **A thief** has copied what a browser held, either the refresh token alone or the device token too, and uses it in turn with the owner, never within 10 s of them. The thief stays who could still go on after the owner has
  refreshed ${STAYS_AFTER} times since; in brackets, the most refreshes of the owner that it took to be rid of the others: the session has ended, or ends when the thief shows up again.

**How to read it.** Strict single use finds each thief and logs out whoever loses an answer or opens two tabs. A grace window forgives what is quick, and neither an answer that was lost on a train nor a slower race of tabs. That the parent is good until its child is used
forgives lost answers at any time, and is lost where tabs race. All three take no notice of who asks: with them a copied token is worth as much as the device.

**Where ours loses too.** A thief with the whole jar goes unseen until the owner's second refresh where stricter ways see them at the first: the price of the first column. The second column: where an answer lands later than a third of \`REFRESH_GRACE\` (10 s) after its request was sent, some orders of events are an honest race and a theft at once, and no rule tells them apart; they end the session. Clients therefore give a refresh
up after 3 s and try again, which is harmless at any time; the one in \`client/\` does. And a thief with the whole jar who comes within 10 s of the owner each time looks like another tab. Both are in [decision 5](decisions/0005-refresh-rotation.md).
`;
}
