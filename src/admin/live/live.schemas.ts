import { z } from 'zod';

/** Followers that an instance names. It only counts the others. */
export const MAX_FOLLOWERS = 50;

const ms = (description: string) => z.int().describe(`${description}, in milliseconds`);
const instantMs = (description: string) =>
  z.int().describe(`${description}, in milliseconds since the epoch`);
const dropped = z.int().describe('how many more there were: a busy moment is shown in part');

const Counters = z
  .object({
    logins: z.int().describe('logins that began a session'),
    problems: z.record(z.string(), z.int()).describe('answers with a problem, by its code'),
    checks: z
      .object({ cache: z.int(), postgres: z.int(), unavailable: z.int() })
      .describe('session checks, by the store that answered'),
  })
  .describe('since the start of the instance');

/** The state of an instance, as it reports it itself. */
export const InstanceReport = z.object({
  id: z.string(),
  name: z.string().describe('the name of its host'),
  startedAt: instantMs('when it started'),
  isBlind: z.boolean().describe('whether its denial list may be incomplete'),
  feedAgeMs: ms('the age of its denial list'),
  connections: z.int().describe('its open streams and WebSockets'),
  followerCount: z.int().describe('verifiers that follow its revocation feed'),
  followers: z
    .array(z.object({ id: z.string(), apiKeyId: z.string(), name: z.string().describe('of the API key') }))
    .max(MAX_FOLLOWERS)
    .describe('those that have followed for longest'),
  counters: Counters,
});
export type InstanceReport = z.infer<typeof InstanceReport>;

export const LiveInstance = InstanceReport.omit({ isBlind: true }).extend({
  state: z
    .enum(['current', 'blind', 'silent'])
    .describe('`blind`: its denial list may be incomplete; `silent`: it has sent no report for 4 s'),
});
export type LiveInstance = z.infer<typeof LiveInstance>;

export const Arrival = z.object({
  seq: z.int().describe('the number of the revocation'),
  lane: z.string().describe('the id of an instance or of a follower'),
  delayMs: ms(
    'an instance: from the record of the revocation, just before its commit, until this instance refuses; a follower: ' +
      'until the event was written to its connection',
  ),
  errorMs: ms('the greatest error of `delayMs`, by the comparison of the clocks'),
});
export type Arrival = z.infer<typeof Arrival>;

export const RevocationSeen = z.object({
  seq: z.int(),
  kind: z.enum(['token', 'session', 'user', 'everyone']).describe('`session` also for an API key or a grant'),
  reason: z.string(),
  at: instantMs('when it was recorded'),
});
export type RevocationSeen = z.infer<typeof RevocationSeen>;

const Arrivals = z.object({ arrivals: z.array(Arrival), dropped });

/** The events of the stream, by name: the schema of their data. */
export const LIVE_EVENTS = {
  instances: z.object({ instances: z.array(LiveInstance) }).describe('all instances, each second'),
  revocations: z.object({ revocations: z.array(RevocationSeen), dropped }).describe('new revocations'),
  arrivals: Arrivals.describe('where a revocation has arrived'),
  totals: z
    .object({ liveSessions: z.int(), isEstimate: z.boolean().describe('true above 10,000') })
    .describe('live sessions, every 5 s'),
};
export type LiveEvents = { [Name in keyof typeof LIVE_EVENTS]: z.infer<(typeof LIVE_EVENTS)[Name]> };

/** A message between instances while an admin watches one of them. */
export const LiveMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('watch') }),
  z.object({ type: z.literal('report'), report: InstanceReport }),
  Arrivals.extend({ type: z.literal('arrivals') }),
]);
export type LiveMessage = z.infer<typeof LiveMessage>;
