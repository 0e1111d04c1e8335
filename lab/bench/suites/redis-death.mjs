import { setTimeout as sleep } from 'node:timers/promises';
import { rounds } from '../support/figures.mjs';

const WATCHED_MS = 2_000;

/** S3: session checks at the moment in which Redis dies or hangs. */
export async function redisDeath(world, [a], { short, say, row }) {
  const [{ id: gone, token: ended }, { token: live }] = await world.sessions(2);
  const admin = await world.admin(a);
  await a.http.request('DELETE', `/v1/admin/sessions/${gone}`, { token: admin });
  const strikes = [
    ['killed', () => world.redis.kill(), () => world.redis.restart()],
    ['hanging', () => world.redis.pause(), () => world.redis.resume()],
  ];
  for (const [name, strike, mend] of strikes) {
    say(`Redis ${name} under session checks`);
    const [first, longest] = [[], []];
    let wrong = 0;
    for (let count = 0; count < (short ? 2 : 7); count++) {
      await untilCached(a, live);
      const answers = [];
      const round = { over: false };
      const ask = async (token, expected) => {
        while (!round.over) {
          const startedAt = performance.now();
          const { status } = await a.http.get('/v1/sessions/current', token);
          answers.push({ startedAt, endedAt: performance.now(), right: status === expected });
        }
      };
      const asking = Array.from({ length: 8 }, (_, index) => (index % 2 ? ask(live, 200) : ask(ended, 401)));
      await sleep(200);
      const struckAt = performance.now();
      await strike();
      await sleep(WATCHED_MS);
      round.over = true;
      await Promise.all(asking);
      const after = answers.filter(({ startedAt }) => startedAt >= struckAt);
      first.push(Math.min(...after.filter(({ right }) => right).map(({ endedAt }) => endedAt)) - struckAt);
      longest.push(
        Math.max(
          ...answers
            .filter(({ endedAt }) => endedAt >= struckAt)
            .map((answer) => answer.endedAt - answer.startedAt),
        ),
      );
      wrong += answers.filter(({ right }) => !right).length;
      await mend();
    }
    row({
      what: `Redis ${name}: to the first correct answer of a session check`,
      figure: `${rounds(first)}; longest wait of any check ${rounds(longest)}; ${wrong} wrong answers`,
      promise: 'S3: none wrong',
      kept: wrong === 0,
      values: { first, longest, wrong },
    });
  }
}

async function untilCached({ http }, token) {
  for (let quick = 0; quick < 50;) {
    const { status } = await http.get('/v1/sessions/current', token);
    quick = status === 200 ? quick + 1 : 0;
    await sleep(10);
  }
}
