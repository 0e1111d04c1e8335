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
millisecond, 3.3 s, a little more than the grace, ten minutes, three weeks). What takes longer than 3.3 s from sending to landing is lost, and is tried again with what the jar then
holds. In the first line there are up to 8 rounds in which up to four tabs refresh at once, and every answer lands.

The schedules are far worse than any network, on purpose. The figures put the strategies in an order; they do not say how many people a strategy logs out in a week.

## Thieves who got away, of ${number(count)}, and how long the others stayed

Each cell is *undetected · mean · worst*. Undetected: the thief still could refresh after the owner's ${PATIENCE}th refresh since the theft was first used. Mean and worst are of
the others: how often the owner refreshed until the session had ended, or nothing that the thief held was good any more (the thief's next try then ends the session). 0: the
thief's first try was refused.

${theftsTable(comparison)}

The thief copies the jar once, at a moment at which nothing is under way, and always uses the newest token that they have. In the second and the last line they see when the owner refreshes,
every ten minutes, and follow within the grace.

## Where Drawbridge is not the best

- **A thief with the whole jar who follows the owner within the grace, each time, is never seen.** To the server that is one client that asks twice. Strict single use sees
  them at the first try, "parent until child" at the next one. One who comes at any time is seen late when the owner refreshes in quick succession: refreshes within one grace count as one.
- **A thief with the whole jar stays for one refresh of the owner more** than under strict single use: the owner's first one looks like a lost answer. "Parent until child" pays the same.
- **An exchange that takes longer than a third of the grace can log an honest client out**, which is the last line of the first table. No rule avoids it and still sees
  theft: decision 5 has the schedule that is both. Clients are to give a refresh up after 3.3 s and try again.
- **Without its device token a client has strict single use**, for better and worse.

## Where it is

- Within those bounds it logs nobody out, whatever is lost, late or parallel. None of the others can say so: strict single use fails at the second tab, a grace window at the first answer that is
  lost for longer than the window, and "parent until child" at two tabs whose answers land in the wrong order.
- A refresh token that was copied alone, from a log or a crash report, is caught as by strict single use: at the first double use. A grace window never sees the thief who keeps close.
- A device token would not save the tabs that "parent until child" logs out: it could only make that strategy stricter, with those who have none.
`;
