import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Get, Module } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { z } from 'zod';
import type { Principal, SessionSnapshot } from '../src/index.js';
import type { TestApp } from './support/app.js';
import type { Answer, Client } from './support/client.js';
import { COOKIES } from './support/cookies.js';

/** A claim from a table of the application, and one from a column of the user. */
jest.unstable_mockModule('../src/claims.js', () => ({
  CLAIMS: {
    plan: {
      schema: z.enum(['free', 'team']),
      sql: `coalesce((select p.plan from test_plans p where p.user_id = u.id), 'free')`,
    },
    verified: { schema: z.boolean(), sql: 'u.email_verified_at is not null' },
    coming: { schema: z.string() },
  },
}));

const { ALICE, BOB, PASSWORD, resetStores, startApp } = await import('./support/app.js');
const { HEADER, read, signed } = await import('./support/forge.js');
const { documentOf } = await import('./support/operations.js');
const { untilBlocked } = await import('./support/waiting.js');
const { ClaimsService, CurrentSession, CurrentUser, RequireSession } = await import('../src/index.js');
const { SessionCheck } = await import('../src/sessions/check/session-check.js');
const { mintTokenId } = await import('../src/sessions/token-id.js');
const { packLive, unpack } = await import('../src/sessions/check/session-cache.codec.js');
const { SessionReader } = await import('../src/sessions/check/session-reader.js');

const View = z.object({ claims: z.record(z.string(), z.unknown()) });

@Controller('claims')
class ClaimsController {
  @Get('token')
  @ApiOkResponse({ standardSchema: View })
  ofToken(@CurrentUser() { claims }: Principal) {
    return { claims };
  }

  @Get('session')
  @RequireSession()
  @ApiOkResponse({ standardSchema: View })
  ofSession(@CurrentSession() { claims }: SessionSnapshot) {
    return { claims };
  }
}

@Module({ controllers: [ClaimsController] })
class ClaimsModule {}

const TOKEN_TIER = '/v1/claims/token';
const SESSION_TIER = '/v1/claims/session';
const FREE = { plan: 'free', verified: true };
const TEAM = { plan: 'team', verified: true };

/** Real: PostgreSQL and, where available, Redis. */
describe('declared claims', () => {
  const lines: string[] = [];
  let app: TestApp;
  let alice: Client;

  beforeAll(async () => {
    await resetStores();
    const logger = pino({ level: 'error' }, { write: (line: string) => lines.push(line) });
    app = await startApp({ logger, features: [ClaimsModule], env: { API_DOCS: 'true' } });
    await app.query('create table test_plans (user_id uuid primary key, plan text not null)');
  });
  afterAll(async () => {
    await app.query('drop table test_plans');
    await app.close();
  });
  beforeEach(async () => {
    await app.get(ClaimsService).refresh(ALICE.id, (tx) => tx.query('delete from test_plans'));
    alice = app.client();
    await alice.login(ALICE.email, PASSWORD, { transport: 'bearer' });
  });

  const setPlan = (userId: string, plan: string) =>
    app
      .get(ClaimsService)
      .refresh(userId, (tx) =>
        tx.query(
          'insert into test_plans values ($1, $2) on conflict (user_id) do update set plan = excluded.plan',
          [userId, plan],
        ),
      );
  const claimsOf = ({ accessToken }: Client) => read(accessToken!).claims;
  const show = (path: string, token: string) =>
    app.client().get(path, { headers: { authorization: `Bearer ${token}` } });
  const changed = (changes: object) => ({ ...claimsOf(alice), jti: mintTokenId(randomUUID()), ...changes });

  it('Tokens of a login, a refresh and a reauthentication have the standard claims and the declared ones', async () => {
    const tokens = [alice.accessToken!];
    await alice.refresh();
    tokens.push(alice.accessToken!);
    const proven = await alice.post('/v1/auth/reauthenticate', { password: PASSWORD });
    tokens.push(proven.body.accessToken as string);
    for (const token of tokens) {
      const { iss, aud, sub, sid, jti, iat, exp, roles, ...declared } = read(token).claims;
      expect(Object.values({ iss, aud, sub, sid, jti, iat, exp, roles })).not.toContain(undefined);
      expect(declared).toEqual(FREE);
    }
  });

  it('A cookie login has the declared claims, and whoami answers with those of the token', async () => {
    const browser = app.client();
    await browser.login(BOB.email, PASSWORD);
    expect(read(browser.jar.get(COOKIES.access)!).claims).toMatchObject(FREE);
    expect((await browser.get('/v1/auth/whoami')).body).toMatchObject({ userId: BOB.id, claims: FREE });
    expect((await browser.get(TOKEN_TIER)).body).toEqual({ claims: FREE });
    expect((await browser.get(SESSION_TIER)).body).toEqual({ claims: FREE });
  });

  it('The OpenAPI document describes the declared claims in the answer of whoami', async () => {
    const { operations } = await documentOf(app);
    const whoami = operations.find(({ name }) => name === 'GET /v1/auth/whoami')!;
    const { schema } = whoami.responses['200']!.content!['application/json']!;
    expect(schema.properties!['claims']).toMatchObject({
      properties: { plan: { type: 'string', enum: ['free', 'team'] }, verified: { type: 'boolean' } },
      required: ['plan', 'verified'],
    });
  });

  it.each([
    ['an undeclared claim', { admin: true }],
    ['an undeclared value', { plan: 'gold' }],
    ['a value of another type', { plan: ['team'] }],
    ['no value', { plan: null }],
    ['a value of another type in its second claim', { verified: 'true' }],
    ['a declared claim in another case', { Plan: 'team' }],
  ])('A token with %s is refused on both tiers, even with a valid signature', async (_, changes) => {
    for (const path of [TOKEN_TIER, SESSION_TIER]) {
      const answer = await show(path, signed(HEADER, changed(changes)));
      expect(answer).toMatchObject({ status: 401, body: { code: 'auth.invalid_token' } });
    }
  });

  it('A token without a declared claim is of an earlier release: it is refused, and a refresh helps', async () => {
    for (const name of ['plan', 'verified']) {
      const old = changed({ [name]: undefined });
      const forged = signed(HEADER, old, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
      for (const path of [TOKEN_TIER, SESSION_TIER]) {
        for (let round = 0; round < 2; round++)
          expect((await show(path, signed(HEADER, old))).body.code).toBe('auth.token_expired');
        expect((await show(path, forged)).body.code).toBe('auth.invalid_token');
      }
    }
    expect((await show(TOKEN_TIER, signed(HEADER, changed({})))).status).toBe(200);
  });

  it('A claim without a source is accepted and not issued, so that the next release may issue it', async () => {
    expect(claimsOf(alice)).not.toHaveProperty('coming');
    const answer = await show(TOKEN_TIER, signed(HEADER, changed({ coming: 'soon' })));
    expect(answer).toMatchObject({ status: 200, body: { claims: { ...FREE, coming: 'soon' } } });
    expect((await show(TOKEN_TIER, signed(HEADER, changed({ coming: 1 })))).status).toBe(401);
  });

  it('A changed value is on the session tier at once, although the session was cached, and in the next token', async () => {
    const { answers } = app.get(SessionCheck);
    await alice.get(SESSION_TIER);
    const before = answers.cache;
    expect((await alice.get(SESSION_TIER)).body).toEqual({ claims: FREE });
    expect(answers.cache).toBe(before + 1);

    expect(await setPlan(ALICE.id, 'team')).toMatchObject({ status: 'applied', endedSessions: 0 });
    for (let round = 0; round < 2; round++)
      expect((await alice.get(SESSION_TIER)).body).toEqual({ claims: TEAM });
    expect((await alice.get(TOKEN_TIER)).body).toEqual({ claims: FREE });
    expect((await alice.refresh()).status).toBe(200);
    expect((await alice.get(TOKEN_TIER)).body).toEqual({ claims: TEAM });
    expect(claimsOf(alice)).toMatchObject(TEAM);
  });

  it('A value that another program has changed is current after a refresh of the claims', async () => {
    await alice.get(SESSION_TIER);
    await app.query(`insert into test_plans values ($1, 'team')`, [ALICE.id]);
    expect((await alice.get(SESSION_TIER)).body).toEqual({ claims: FREE });
    await app.get(ClaimsService).refresh(ALICE.id);
    expect((await alice.get(SESSION_TIER)).body).toEqual({ claims: TEAM });
  });

  it('A login that overlaps a change waits for it and gets the new value', async () => {
    const late = app.client();
    let login: Promise<Answer>;
    await app.get(ClaimsService).refresh(ALICE.id, async (tx) => {
      await tx.query(`insert into test_plans values ($1, 'team')`, [ALICE.id]);
      login = late.login(ALICE.email, PASSWORD, { transport: 'bearer' });
      await Promise.race([login, untilBlocked(app, 1)]);
    });
    expect((await login!).status).toBe(200);
    expect(claimsOf(late)).toMatchObject(TEAM);
    expect((await late.get(SESSION_TIER)).body).toEqual({ claims: TEAM });
  });

  it('A change that fails changes nothing, and a change of an unknown user is not found', async () => {
    const failing = app.get(ClaimsService).refresh(ALICE.id, async (tx) => {
      await tx.query(`insert into test_plans values ($1, 'team')`, [ALICE.id]);
      throw new Error('refused');
    });
    await expect(failing).rejects.toThrow('refused');
    expect((await alice.get(SESSION_TIER)).body).toEqual({ claims: FREE });
    await expect(app.get(ClaimsService).refresh(randomUUID())).rejects.toMatchObject({
      code: 'resource.not_found',
    });
  });

  it('A value in the database that the schema refuses fails the requests of its user alone, and the log names the claim', async () => {
    const bob = app.client();
    await bob.login(BOB.email, PASSWORD);
    await setPlan(ALICE.id, 'gold');
    lines.length = 0;
    const answers = await Promise.all([alice, bob].map((client) => client.get(SESSION_TIER)));
    expect(answers.map(({ status }) => status)).toEqual([500, 200]);
    expect((await alice.get(SESSION_TIER)).status).toBe(500);
    expect(lines.join()).toMatch(/src\/claims\.ts does not allow: plan/);
    expect(lines.join()).not.toMatch(/gold/);
    expect((await alice.copy().refresh()).status).toBe(500);
    await setPlan(ALICE.id, 'team');
    expect((await alice.get(SESSION_TIER)).body).toEqual({ claims: TEAM });
  });

  it('A cached session with other claims than the declared ones counts as a miss', async () => {
    const { sid } = claimsOf(alice) as { sid: string };
    const snapshot = (await app.get(SessionReader).read(sid))!;
    const entry = (claims: object) => JSON.stringify(packLive({ ...snapshot, claims }, app.clock.now()));
    expect(unpack(sid, entry(FREE))).toMatchObject({ state: 'live', snapshot: { claims: FREE } });
    for (const other of [{}, { plan: 'free' }, { ...FREE, plan: 'gold' }, { ...FREE, seats: 1 }])
      expect(unpack(sid, entry(other))).toBeNull();
    const ofAnEarlierRelease = JSON.stringify((packLive(snapshot, 0) as unknown[]).slice(0, -1));
    expect(unpack(sid, ofAnEarlierRelease)).toBeNull();
  });
});
