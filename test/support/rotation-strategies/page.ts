import type { Comparison, Outcome, Run } from './comparison.js';
import { STRATEGIES, type Strategy, type StrategyName } from './strategies.js';
import { HONEST, PATIENCE, THEFTS } from './trials.js';

const number = (value: number) => value.toLocaleString('en-US');
const row = (cells: string[]) => `| ${cells.join(' | ')} |`;

const strategies = Object.entries(STRATEGIES) as [StrategyName, Strategy][];

/** A line for each kind of schedule, a column for each strategy. */
function table<Value>(
  title: string,
  kinds: Record<string, { name: string }>,
  results: Record<string, Record<StrategyName, Value>>,
  tell: (value: Value) => string,
): string {
  return [
    row([title, ...strategies.map(([, { name }]) => name)]),
    row(['---', ...strategies.map(() => '---:')]),
    ...Object.entries(kinds).map(([kind, { name }]) =>
      row([name, ...strategies.map(([strategy]) => tell(results[kind]![strategy]))]),
    ),
  ].join('\n');
}

export const logoutsTable = ({ logouts }: Comparison): string =>
  table('an honest client', HONEST, logouts, number);

export const theftsTable = ({ thefts }: Comparison): string => table('a thief with', THEFTS, thefts, tell);

/** `undetected · mean · worst` */
const tell = ({ undetected, mean, worst }: Outcome): string =>
  Number.isFinite(worst)
    ? `${number(undetected)} · ${mean.toFixed(2)} · ${worst}`
    : `${number(undetected)} · – · –`;

/** docs/refresh-strategies.md, which nobody writes by hand. */
export const pageOf = (
  { seed, count }: Run,
  comparison: Comparison,
): string => `# Refresh strategies, side by side

Made by \`npm run compare:refresh\` (seed ${seed}, ${number(count)} schedules for each line); \`test/refresh-strategies.spec.ts\` makes it again and wants the same
figures. \`npm run compare:refresh -- 7 50000\` prints those of another seed. The strategies are pure functions of one shape in
\`test/support/rotation-strategies/\`; Drawbridge's is the function that it serves with. All of them play the same schedules, which are those of its property tests.
Why it is as it is: [decision 5](decisions/0005-refresh-rotation.md).

${strategies.map(([, { name, rule }]) => `- **${name}**: ${rule}`).join('\n')}

Only Drawbridge looks at a device token, a second secret in the cookie jar that refreshes do not replace. The others stand here in their plain forms.

## Honest clients that were logged out, of ${number(count)}

${logoutsTable(comparison)}

A schedule is up to 80 steps of tabs that share one cookie jar: one sends, a request arrives or an answer lands, something is lost, or time passes (a
millisecond, 3.3 s, a little more than the grace, ten minutes, three weeks). An exchange that takes longer than 3.3 s is given up, and is tried again with the token that the jar then
holds. In the first line there are up to 8 rounds in which up to four tabs refresh at once, and every answer lands. In the two lines about requests that arrive after they were given up,
time passes by 5 s at most, and such a request arrives up to 30 s after it was sent; its answer is lost. If it is refused without ending the session, nobody has been logged out.

The schedules are far worse than any network, on purpose. The figures put the strategies in an order; they do not say how many people a strategy logs out in a week.

## Thieves who got away, of ${number(count)}, and how long the others stayed

Each cell is *undetected · mean · worst*. Undetected: the thief still could refresh after the owner's ${PATIENCE}th refresh since the theft was first used. Mean and worst are of
the others: how often the owner refreshed until the session had ended, or nothing that the thief held was good any more (the thief's next try then ends the session). 0: the
thief's first try was refused.

${theftsTable(comparison)}

The thief copies the jar once, at a moment at which nothing is under way, and always uses the newest token that they have. In the second and the last line they see when the owner refreshes,
every ten minutes, and follow within the grace.

## Where Drawbridge is not the best

- **A thief with the whole jar who comes within the grace of every refresh of the owner is never seen.** To the server that is one client that asks twice. Strict single use sees
  the thief at the first try, "parent until child" at the next one. A thief who comes at any time is seen late when the owner refreshes in quick succession.
- **A thief with the whole jar survives one refresh of the owner**, and one more for each refresh that the thief comes within a grace of. Strict single use allows none: under
  Drawbridge the owner's first refresh looks like a lost answer. Decision 5 has the exact bound, also for owners who refresh less than three graces apart.
- **A token that was replaced a moment ago ends nothing.** For five graces after its successor was minted it is refused with 503, since it may be a delayed request. A thief gets nothing by it,
  but the alarm comes when the token is tried again later.
- **An answer that lands later than a third of the grace can log an honest client out**, which is the last line of the first table. No rule avoids it and still sees
  theft: decision 5 has the schedule that is both. Clients are to give a refresh up after 3.3 s and try again.
- **Without its device token a client has strict single use**, for better and worse.

## Where it is

- Within those bounds it logs no client out, whatever is lost, late or parallel. A request that was given up may arrive up to three graces late. The one exception, in which two answers land in
  the wrong order as well, is in decision 5. None of the others can say so: strict single use fails at the second tab, a grace window at the first answer that is
  lost for longer than the window, and "parent until child" at two tabs whose answers land in the wrong order.
- A refresh token that was copied alone, from a log or a crash report, is caught as by strict single use: at the first double use. A grace window never sees the thief who keeps close.
- A device token would not save the tabs that "parent until child" logs out: it could only make that strategy stricter, with those who have none.
`;
