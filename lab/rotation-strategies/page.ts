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

/** The text of docs/evidence/refresh-strategies.md. Do not edit that file by hand. */
export const pageOf = (
  { seed, count }: Run,
  comparison: Comparison,
): string => `# Refresh strategies, side by side

\`npm run compare:refresh\` generates this page (seed ${seed}, ${number(count)} schedules for each line).
\`lab/specs/refresh-strategies.spec.ts\` generates it again and demands the same figures.
\`npm run compare:refresh -- 7 50000\` prints the figures of another seed. The strategies are pure functions with
one signature, in \`lab/rotation-strategies/\`. Drawbridge's is the function that the server uses. All
strategies play the same schedules as its property tests. The reasons for Drawbridge's rules are in
[decision 5](../decisions/0005-refresh-rotation.md).

${strategies.map(([, { name, rule }]) => `- **${name}**: ${rule}`).join('\n')}

Only Drawbridge checks a device token, a second secret in the cookie jar that refreshes do not replace. The
others are compared in their plain forms.

The last column is Drawbridge with [device binding](../guides/device-binding.md). The session is bound to a key
that cannot leave the device. A refresh needs the bound cookie, which only this key renews.

## Honest clients that were logged out, of ${number(count)}

${logoutsTable(comparison)}

A schedule has up to 80 steps of tabs that share one cookie jar. In a step, a tab sends a request, a request
arrives, an answer lands, a message is lost, or time passes (a millisecond, 3.3 s, a little more than the grace,
ten minutes, three weeks). An exchange that takes longer than 3.3 s is abandoned. The client repeats it with the
token that the jar contains then.

In the first line there are up to 8 rounds in which up to four tabs refresh at once, and every answer lands. In
the two lines about abandoned requests, time passes by 5 s at most. Such a request arrives up to 30 s after it
was sent, and its answer is lost. If it is refused without ending the session, the client is not logged out.

The schedules are deliberately far worse than any network. The figures rank the strategies. They do not say how
many users a strategy logs out in a week.

## Undetected thieves, of ${number(count)}, and how long the others stayed

Each cell is *undetected · mean · worst*. Undetected: the thief could still refresh after the owner's
${PATIENCE}th refresh since the first use of the stolen token. Mean and worst describe the other thieves. They
count the owner's refreshes until the session had ended, or until all tokens of the thief were void (the thief's
next try then ends the session). 0: the thief's first try was refused.

In the last column a thief who is refused for lack of the key counts as detected. The refusal gives no token, changes
nothing about the session, and leaves an audit event (\`authn_device_key_unproven\`). No later try can succeed,
because the thief cannot make a new bound cookie. The session of the owner goes on. While a copied bound cookie is
still good, the thief is followed past the tenth refresh.

${theftsTable(comparison)}

The thief copies the jar once, while no request is under way, and always uses the newest of the stolen tokens.
In the second and the last line the thief sees when the owner refreshes, every ten minutes, and follows within
the grace.

A whole jar contains a bound cookie. These thieves copy it at the best time: right after the browser has renewed it.
The copy is good for five minutes, and in that time the thief of a bound session refreshes like the thief of any
other. That is the whole difference between the last column and zero in every cell.

## Where Drawbridge is not the best

Without a bound client:

- **A thief with the whole jar who comes within the grace of every refresh of the owner is never detected.** To
  the server this is one client that asks twice. Strict single use detects the thief at the first try, "parent
  until child" at the next one. A thief who comes at any time is detected late when the owner refreshes in quick
  succession.
- **A thief with the whole jar survives one refresh of the owner**, and one more for each refresh that the thief
  comes within a grace of. Strict single use allows none. Under Drawbridge the owner's first refresh looks like
  a lost answer. Decision 5 has the exact bound, also for owners who refresh less than three graces apart.
- **A token that was just replaced does not end the session.** For five graces after the minting of its
  successor it is refused with 503, since it may be a delayed request. A thief gains nothing, but the alarm
  comes only when the token is tried again later.
- **An answer that lands later than a third of the grace can log an honest client out** (the last line of the
  first table). No rule can avoid this and still detect theft: decision 5 has a schedule that is both. Clients
  should abandon a refresh after 3.3 s and try again.
- **A client without its device token has strict single use**, with its advantages and disadvantages.

With a bound client the first two hold for five minutes only, and the others not at all. Two are added:

- **A copy of the jar works until its bound cookie expires**, five minutes at most.
- **Not every client can be bound.** A browser without Device Bound Session Credentials has the column before the last
  one. [Device binding](../guides/device-binding.md#which-browsers) says which browsers have them.

## Where Drawbridge is better

- A bound client is never logged out, with or without a device token, however late its answers land. The copied jar is
  worthless after five minutes, however the thief times the requests. Without a key these two exclude each other:
  a rule that spares a repeated request also spares a thief who imitates one.
- Without a key, Drawbridge logs no client out within those bounds, whatever is lost, late or parallel. An abandoned request may arrive
  up to three graces late. Decision 5 describes the one exception, in which two answers also land in the wrong
  order. The other strategies fail earlier. Strict single use fails at the second tab, and a grace window at the
  first answer that is lost for longer than the window. "Parent until child" fails at two tabs whose answers
  land in the wrong order.
- A refresh token that was copied alone, from a log or a crash report, is detected at the first double use, as
  by strict single use. A grace window never detects a thief who follows within the grace.
- A device token would not save the tabs that "parent until child" logs out. It could only make that strategy
  stricter for clients without one.
`;
