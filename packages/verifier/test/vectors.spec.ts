import { describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { FeedState } from '../src/feed/feed-state.js';
import { createVerifier, Refusal } from '../src/index.js';
import { ScriptedTime, settle } from './scripted-time.js';
import { bearer } from './support.js';

type Jws = [header: string, claims: string, signature: string];

interface Step {
  now?: number;
  status?: string;
  snapshot?: { cursor: string; statement: Jws; entries: string };
  event?: { type: string; id: string; data: string | Jws };
  verdict?: 'accepted' | 'refused' | 'applied' | 'counts' | 'ignored' | 'list_again';
  request?: { token: Jws; minSeq?: string; reason?: string; endedAt?: string };
  outcome?: string;
}

interface Vectors {
  issuer: string;
  audience: string;
  jwks: object;
  chain: { instance: string; lines: string[]; values: string[] };
  scenarios: { name: string; steps: Step[] }[];
}

const vectors = JSON.parse(readFileSync('packages/verifier/test/vectors.json', 'utf8')) as Vectors;
const textOf = (data: string | Jws) => (typeof data === 'string' ? data : data.join('.'));

/** A verifier that gets the parts of a scenario in their order. Its own connections find only the keys. */
function startPlayer() {
  const time = new ScriptedTime();
  const answer = async (url: string) =>
    url.endsWith('jwks.json') ? Response.json(vectors.jwks) : new Response('', { status: 503 });
  const { issuer, audience } = vectors;
  const own = { time, fetch: answer as typeof fetch, floorTimeout: 0 };
  const verifier = createVerifier({
    ...own,
    url: 'https://vectors.example',
    issuer,
    audience,
    apiKey: 'x',
    whenBlind: 'deny',
  });
  const { state } = verifier as unknown as { state: FeedState };

  const takeSnapshot = async ({ cursor, statement, entries }: NonNullable<Step['snapshot']>) => {
    const text = `{"cursor":"${cursor}","statement":"${textOf(statement)}","entries":${entries}}`;
    return (await state.takeSnapshot(text)) === null ? 'accepted' : 'refused';
  };
  const takeEvent = async ({ type, id, data }: NonNullable<Step['event']>) => {
    const age = state.age();
    if ((await state.take({ type, id, data: textOf(data) })) !== null) return 'list_again';
    if (type === 'revocation') return 'applied';
    return state.age() < age ? 'counts' : 'ignored';
  };
  const request = async ({ token, minSeq }: NonNullable<Step['request']>) => {
    const { headers } = bearer(textOf(token));
    const floor = minSeq === undefined ? {} : { 'x-min-revocation-seq': minSeq };
    const asked = (async () => verifier.check({ headers: { ...headers, ...floor } }))();
    const outcome = asked.then(
      () => ({ outcome: 'accepted' }),
      (error: unknown) => ({ outcome: (error as Refusal).code, ...(error as Refusal).members }),
    );
    await time.advance(0);
    return outcome;
  };
  return { time, verifier, takeSnapshot, takeEvent, request };
}

describe('the test vectors of the protocol', () => {
  it('The chain of events is the SHA-256 of the previous value and the line', () => {
    const { instance, lines, values } = vectors.chain;
    let chain = createHash('sha256').update(instance).digest();
    const next = (line: string) => (chain = createHash('sha256').update(chain).update(line).digest());
    expect([chain, ...lines.map(next)].map((value) => value.toString('base64url'))).toEqual(values);
  });

  it.each(vectors.scenarios)('The verifier decides as the scenario "$name" says', async ({ steps }) => {
    const player = startPlayer();
    await settle();
    for (const [index, step] of steps.entries()) {
      const { now, status, snapshot, event, verdict, request, outcome } = step;
      if (now !== undefined) await player.time.advance(now - player.time.now());
      if (status) expect({ index, status: player.verifier.status }).toEqual({ index, status });
      if (snapshot)
        expect({ index, verdict: await player.takeSnapshot(snapshot) }).toEqual({ index, verdict });
      if (event) expect({ index, verdict: await player.takeEvent(event) }).toEqual({ index, verdict });
      if (!request) continue;
      const { reason, endedAt } = request;
      expect({ index, ...(await player.request(request)) }).toMatchObject({
        index,
        outcome,
        ...(reason && { reason, endedAt }),
      });
    }
    player.verifier.close();
  });
});
