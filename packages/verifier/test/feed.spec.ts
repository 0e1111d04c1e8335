import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { FeedEntry } from '../src/index.js';
import { newKey, sessionIdAt } from './scripted-application.js';
import { settle } from './scripted-time.js';
import { follow, startScene, type Scene } from './support.js';

const UNAVAILABLE = 'auth.unavailable';
const ENDED = 'auth.session_ended';

/** Scripted: the application and its feed, the time, the network. */
describe('the feed at a verifier', () => {
  let scene: Scene;
  beforeEach(async () => void (scene = await startScene()));
  afterEach(() => scene.verifier.close());

  const newSession = () => {
    const sid = sessionIdAt(scene.time.now());
    return { sid, token: scene.application.token({ sid }) };
  };
  const end = (sid: string, isSent = true) => scene.application.revoke({ subjects: [sid] }, { isSent });

  it('A3: A verifier without a list refuses every request, and accepts once it has the list', async () => {
    const { time, application } = scene;
    let isAway = true;
    const booting = await follow(time, application, {
      whenBlind: 'allow',
      fetch: (async (url: string, init: RequestInit) =>
        isAway && !url.endsWith('jwks.json')
          ? new Response('', { status: 503 })
          : application.fetch(url, init)) as typeof fetch,
    });
    expect(booting.verifier.status).toBe('booting');
    expect(await booting.outcome(application.token())).toBe(UNAVAILABLE);
    isAway = false;
    await time.advance(5_000);
    await booting.verifier.ready();
    application.heartbeat();
    await settle();
    expect(await booting.outcome(application.token())).toBe('accepted');
    booting.verifier.close();
  });

  it('A3: A revocation from before the start of a verifier is in its list', async () => {
    const { sid, token } = newSession();
    end(sid);
    const late = await follow(scene.time, scene.application);
    expect(await late.outcome(token)).toBe(ENDED);
    late.verifier.close();
  });

  it('A1: A revocation that arrives is in force for the next request, with its reason and time', async () => {
    const { sid, token } = newSession();
    expect(await scene.outcome(token)).toBe('accepted');
    const { createdAt } = end(sid);
    await settle();
    await expect(async () => scene.verifier.check({ headers: { authorization: `Bearer ${token}` } }))
      .rejects //
      .toMatchObject({
        code: ENDED,
        status: 401,
        members: { reason: 'admin', endedAt: new Date(createdAt).toISOString() },
        headers: { 'www-authenticate': 'Bearer error="invalid_token", error_description="session ended"' },
      });
  });

  it('A revocation of a user or of everyone denies the sessions up to its instant, and no later one', async () => {
    const { application, time } = scene;
    const sub = '0192d5a0-0000-4000-8000-00000000000a';
    const tokenAt = (instant: number) => application.token({ sub, sid: sessionIdAt(instant) });
    const now = time.now();
    const [before, after] = [tokenAt(now), tokenAt(now + 1)];
    application.revoke({ kind: 'user', subjects: [sub], notBefore: now, reason: 'ban' });
    await settle();
    expect([await scene.outcome(before), await scene.outcome(after)]).toEqual([ENDED, 'accepted']);
    const other = application.token({ sid: sessionIdAt(now) });
    expect(await scene.outcome(other)).toBe('accepted');
    application.revoke({ kind: 'everyone', notBefore: now, reason: 'admin_everyone' });
    await settle();
    expect([await scene.outcome(other), await scene.outcome(after)]).toEqual([ENDED, 'accepted']);
  });

  it('A revocation of one access token asks its client to refresh, as an expired token does', async () => {
    const { application } = scene;
    const { sid, token } = newSession();
    const jti = (JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as { jti: string })
      .jti;
    application.revoke({ kind: 'token', subjects: [jti] });
    await settle();
    expect(await scene.outcome(token)).toBe('auth.token_expired');
    expect(await scene.outcome(application.token({ sid }))).toBe('accepted');
  });

  it('A2: A verifier is blind after 5 s without a heartbeat, and then does as its policy says', async () => {
    const { time, application } = scene;
    const open = await follow(time, application, { whenBlind: 'allow' });
    const asked: string[] = [];
    const asking = await follow(time, application, {
      whenBlind: async ({ sessionId }) => asked.push(sessionId) === 1,
    });
    const { sid, token } = newSession();
    await time.advance(5_000);
    expect(await scene.outcome(token)).toBe('accepted');
    application.failure = () => new Response('', { status: 503 });
    await time.advance(1);
    expect(scene.verifier.status).toBe('blind');
    expect(await scene.outcome(token)).toBe(UNAVAILABLE);
    expect(await open.outcome(token)).toBe('accepted');
    expect([await asking.outcome(token), await asking.outcome(token)]).toEqual(['accepted', UNAVAILABLE]);
    expect(asked).toEqual([sid, sid]);
    for (const { verifier } of [open, asking]) verifier.close();
  });

  it('A4: A blind verifier with the policy `allow` refuses every token from its exp on', async () => {
    const { time, application } = scene;
    const open = await follow(time, application, { whenBlind: 'allow' });
    const token = application.token();
    application.failure = () => new Response('', { status: 503 });
    await time.advance(899_999);
    expect(await open.outcome(token)).toBe('accepted');
    await time.advance(1);
    expect(await open.outcome(token)).toBe('auth.token_expired');
    open.verifier.close();
  });

  it('A4: A clock that is set back revives no expired token', async () => {
    const { time, application, beat } = scene;
    const token = application.token();
    await beat(900);
    expect(await scene.outcome(token)).toBe('auth.token_expired');
    time.moveClock(-600_000);
    expect(await scene.outcome(token)).toBe('auth.token_expired');
  });

  it.each([
    ['behind', -5_001],
    ['ahead', 5_001],
  ])('A2: A verifier whose clock is 5 s %s is blind, and reports it', async (direction, ms) => {
    const { time, application, interruptions } = scene;
    const token = application.token();
    const realNow = () => time.now() - ms;
    time.moveClock(ms);
    for (let second = 0; second < 6; second += 1) {
      await time.advance(1_000);
      application.heartbeat({ time: realNow() });
      await settle();
    }
    expect(scene.verifier.status).toBe('blind');
    expect(await scene.outcome(token)).toBe(UNAVAILABLE);
    expect(interruptions[0]).toContain(direction);
  });

  it('A2: A verifier that did not run for 5 s is blind, and the heartbeats that waited for it prove nothing', async () => {
    const { time, application } = scene;
    const token = application.token();
    for (let second = 0; second < 4; second += 1) {
      application.heartbeat({ time: time.now() + 1 + second * 10 });
    }
    time.freeze(6_000);
    expect(await scene.outcome(token)).toBe(UNAVAILABLE);
    application.failure = () => new Response('', { status: 503 });
    await settle();
    expect(await scene.outcome(token)).toBe(UNAVAILABLE);
  });

  it('An event that is lost on its way is noticed at the next heartbeat, and the list is read again', async () => {
    const { sid, token } = newSession();
    end(sid, false);
    await settle();
    expect(await scene.outcome(token)).toBe('accepted');
    await scene.beat();
    await scene.time.advance(100);
    expect(await scene.outcome(token)).toBe(ENDED);
    expect(scene.interruptions[0]).toContain('not the signed ones');
  });

  it('An event that is lost is noticed at the next event, which is in force at once', async () => {
    const [lost, next] = [newSession(), newSession()];
    end(lost.sid, false);
    end(next.sid);
    await settle();
    expect(await scene.outcome(next.token)).toBe(ENDED);
    await scene.time.advance(100);
    expect(await scene.outcome(lost.token)).toBe(ENDED);
  });

  it.each<[string, (of: Scene) => void]>([
    ['signed by another key', ({ application }) => application.heartbeat({}, newKey('first'))],
    [
      'signed by a key that is not published',
      ({ application }) => application.heartbeat({}, newKey('another')),
    ],
    ['of another issuer', ({ application }) => application.heartbeat({ iss: 'https://evil.example' })],
    ['of another instance', ({ application }) => application.heartbeat({ instance: 'instance-2' })],
    ['at another position', ({ application }) => application.heartbeat({ position: 7 })],
    ['over other events', ({ application }) => application.heartbeat({ chain: 'A'.repeat(43) })],
    ['without a time', ({ application }) => application.heartbeat({ time: null })],
    ['that is an access token', ({ application }) => application.send('heartbeat', application.token())],
    ['that is no token', ({ application }) => application.send('heartbeat', 'x')],
  ])('A heartbeat %s proves nothing: the verifier lists again, or is blind', async (_what, send) => {
    const { application, time, interruptions } = scene;
    application.failure = () => new Response('', { status: 503 });
    await time.advance(4_000);
    send(scene);
    await settle();
    expect(interruptions).toHaveLength(1);
    await time.advance(1_001);
    expect(scene.verifier.status).toBe('blind');
    application.failure = null;
    await time.advance(10_000);
    application.heartbeat();
    await settle();
    expect(scene.verifier.status).toBe('current');
    expect(interruptions.at(-1)).toBeNull();
  });

  it('A heartbeat that is repeated proves nothing new, also to a verifier whose clock is behind', async () => {
    const { application, time } = scene;
    time.moveClock(-4_000);
    await scene.beat();
    const stated = time.applicationNow();
    for (let second = 0; second < 5; second += 1) {
      await time.advance(1_000);
      application.heartbeat({ time: stated });
      await settle();
    }
    expect(scene.verifier.status).toBe('current');
    application.failure = () => new Response('', { status: 503 });
    await time.advance(1);
    expect(scene.verifier.status).toBe('blind');
  });

  it.each<[string, (of: Scene) => string]>([
    ['old', ({ application, time }) => application.snapshot({ time: time.now() - 5_001 })],
    ['of the future', ({ application, time }) => application.snapshot({ time: time.now() + 5_001 })],
    [
      'with an entry less than is signed',
      ({ application }) => application.snapshot().replace(/"entries":.*/, '"entries":[]}'),
    ],
    [
      'with another cursor',
      ({ application }) => application.snapshot().replace('"instance-1.', '"instance-2.'),
    ],
    ['with an unknown kind', ({ application }) => application.snapshot({}, '[{"seq":1,"kind":"city"}]')],
    ['that is no JSON', () => 'x'],
    ['of another issuer', ({ application }) => application.snapshot({ iss: 'https://evil.example' })],
  ])('A snapshot that is %s is not accepted, and the list in force stays', async (_what, make) => {
    const { application, time } = scene;
    const { sid, token } = newSession();
    end(sid);
    await settle();
    application.failure = () => new Response(make(scene));
    application.cut();
    await time.advance(2_000);
    expect(await scene.outcome(token)).toBe(ENDED);
    const late = await follow(time, application, {
      fetch: async (url) =>
        String(url).endsWith('jwks.json')
          ? Response.json({ keys: [jwkOf(scene)] })
          : new Response(make(scene)),
    });
    await time.advance(1_000);
    expect(late.verifier.status).toBe('booting');
    late.verifier.close();
  });

  it('A verifier resumes after a cut from where it was, without the list', async () => {
    const { application, time } = scene;
    application.cut();
    await time.advance(200);
    expect(application.requests.filter((path) => path.endsWith('snapshot'))).toHaveLength(1);
    expect(application.requests.at(-1)).toBe(`/v1/revocations/stream ${application.cursor}`);
    expect(application.streamCount).toBe(1);
  });

  it('A verifier of a restarted instance lists again, and keeps the denials that the new list lacks', async () => {
    const { application, time } = scene;
    const { sid, token } = newSession();
    end(sid);
    await settle();
    application.entries = [];
    application.restart('instance-2');
    await time.advance(1_000);
    expect(application.streamCount).toBe(1);
    expect(await scene.outcome(token)).toBe(ENDED);
  });

  it('A connection that hangs is given up after 5 s, and the next address is tried', async () => {
    const { time, application } = scene;
    const hosts: string[] = [];
    const two = await follow(time, application, {
      feed: ['https://one.example', 'https://two.example'],
      fetch: (async (url: string, init: RequestInit) => {
        hosts.push(new URL(url).host);
        return application.fetch(url, init);
      }) as typeof fetch,
    });
    expect(new Set(hosts)).toEqual(new Set(['app.example', 'one.example']));
    await time.advance(7_000);
    expect(hosts).toContain('two.example');
    two.verifier.close();
  });

  it('A denial leaves the list once no token can match it, by the time of the application', async () => {
    const { sid } = newSession();
    const { expiresAt } = end(sid);
    const seen = scene.verifier as unknown as { denials: { size: number } };
    await scene.beat();
    expect(seen.denials.size).toBe(1);
    scene.time.moveClock(3_600_000);
    await scene.time.advance(5_000);
    expect(seen.denials.size).toBe(1);
    scene.time.moveClock(-3_600_000);
    await scene.time.advance(6_000);
    scene.application.heartbeat({ time: expiresAt });
    await scene.beat(Math.ceil((expiresAt - scene.time.now()) / 1_000) + 1);
    expect(seen.denials.size).toBe(0);
  });

  describe('X-Min-Revocation-Seq', () => {
    const above = (seq: unknown) => ({ 'x-min-revocation-seq': String(seq) });

    it('lets a request wait until the revocation has arrived, and judges it then', async () => {
      const { sid, token } = newSession();
      const waiting = scene.outcome(token, above(scene.application.lastSeq + 1));
      await scene.time.advance(1_000);
      end(sid);
      await settle();
      expect(await waiting).toBe(ENDED);
    });

    it('is met by the number that a heartbeat states, also of a revocation that denies nothing', async () => {
      const token = scene.application.token();
      const waiting = scene.outcome(token, above(5));
      await scene.time.advance(1_000);
      scene.application.heartbeat({ seq: 5 });
      await settle();
      expect(await waiting).toBe('accepted');
    });

    it('of a revocation that does not come is answered by 503 after 2 s', async () => {
      const waiting = scene.outcome(scene.application.token(), above(1_000));
      await scene.beat(2);
      expect(await waiting).toBe(UNAVAILABLE);
    });

    it.each(['x', '', '-1', '1.5', '1'.repeat(19)])('"%s" is not valid', async (value) => {
      expect(await scene.outcome(scene.application.token(), above(value))).toBe('request.invalid');
    });

    it('is not looked at for a token that is refused anyway', async () => {
      expect(await scene.outcome('x', above('x'))).toBe('auth.invalid_token');
    });
  });

  describe('open connections', () => {
    const callerOf = async (token: string) =>
      scene.verifier.check({ headers: { authorization: `Bearer ${token}` } });

    it('of an ended session are told once, with the reason; others are not', async () => {
      const [mine, other] = [newSession(), newSession()];
      const told: string[] = [];
      scene.verifier.watch(await callerOf(mine.token), ({ reason }) => told.push(`mine: ${reason}`));
      scene.verifier.watch(await callerOf(other.token), () => told.push('other'));
      const stop = scene.verifier.watch(await callerOf(mine.token), () => told.push('closed'));
      stop();
      end(mine.sid);
      end(mine.sid);
      await settle();
      expect(told).toEqual(['mine: admin']);
    });

    it('of a session that ended right after the check are told at once', async () => {
      const { sid, token } = newSession();
      const caller = await callerOf(token);
      end(sid);
      await settle();
      const told: string[] = [];
      scene.verifier.watch(caller, ({ reason }) => told.push(reason));
      expect(told).toEqual(['admin']);
    });

    it('can also be found by the revocations themselves', async () => {
      const heard: FeedEntry[] = [];
      const stop = scene.verifier.onRevoked((entry) => heard.push(entry));
      const entry = end(newSession().sid);
      await settle();
      stop();
      end(newSession().sid);
      await settle();
      expect(heard).toEqual([entry]);
    });
  });

  function jwkOf({ application }: Scene) {
    const { kid, publicKey } = application.key;
    const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
    return { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' };
  }
});
