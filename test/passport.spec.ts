import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Injectable, Module, UseGuards } from '@nestjs/common';
import { AuthGuard, PassportStrategy } from '@nestjs/passport';
import { createHmac } from 'node:crypto';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { CurrentUser } from '../src/auth/guards/current-user.decorator.js';
import { Public } from '../src/auth/guards/public.decorator.js';
import type { Principal } from '../src/platform/http/request.js';
import { ALICE, BOB, resetStores, startApp, type TestApp } from './support/app.js';
import { encode, HEADER, read, signed } from './support/forge.js';
import { loggedIn, type Person } from './support/test-users.js';
import { COOKIES } from './support/cookies.js';

const PARTNER_SECRET = 'a secret that a partner and the application share';

/** A second strategy of passport-jwt, as an application may have it for the tokens of a partner. */
@Injectable()
class PartnerStrategy extends PassportStrategy(Strategy, 'partner') {
  constructor() {
    super({
      jwtFromRequest: ExtractJwt.fromHeader('x-partner-token'),
      secretOrKey: PARTNER_SECRET,
      algorithms: ['HS256'],
    });
  }

  validate({ sub }: { sub: string }) {
    return { partner: sub };
  }
}

@Controller('passport')
class PassportController {
  @Get('ours')
  ours(@CurrentUser() { userId, sessionId }: Principal) {
    return { userId, sessionId };
  }

  @Get('theirs')
  @Public()
  @UseGuards(AuthGuard('jwt'))
  theirs(@CurrentUser() { userId, sessionId }: Principal) {
    return { userId, sessionId };
  }

  @Get('partner')
  @Public()
  @UseGuards(AuthGuard('partner'))
  partner(@CurrentUser() user: unknown) {
    return user;
  }
}

@Module({ controllers: [PassportController], providers: [PartnerStrategy] })
class PassportFeature {}

/** Real: PostgreSQL, Passport, passport-jwt, jsonwebtoken. */
describe("AuthGuard('jwt')", () => {
  let app: TestApp;
  let alice: Person;

  beforeAll(async () => {
    await resetStores();
    app = await startApp({ features: [PassportFeature] });
    alice = await loggedIn(app, ALICE);
  });
  afterAll(() => app.close());

  const answersTo = async (headers: Record<string, string>) => {
    const [ours, theirs] = await Promise.all(
      ['ours', 'theirs'].map((route) => app.client().get(`/v1/passport/${route}`, { headers })),
    );
    return [ours!, theirs!].map(({ status, body }) => ({
      status,
      code: body.code,
      reason: body.reason,
      user: body.userId,
    }));
  };
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const claims = (changes: object = {}) => ({ ...read(alice.accessToken!).claims, ...changes });

  it.each<[string, number, string | undefined, () => Promise<Record<string, string>>]>([
    ['a valid token', 200, undefined, async () => bearer(alice.accessToken!)],
    ['a valid cookie', 200, undefined, async () => (await loggedIn(app, ALICE, 'cookie')).credentials()],
    ['no token', 401, 'auth.unauthenticated', async () => ({})],
    ['a text that is no token', 401, 'auth.invalid_token', async () => bearer('x')],
    [
      'a token without a signature',
      401,
      'auth.invalid_token',
      async () => bearer(alice.accessToken!.replace(/[^.]*$/, '')),
    ],
    [
      'a token of another audience',
      401,
      'auth.invalid_token',
      async () => bearer(signed(HEADER, claims({ aud: 'other' }))),
    ],
    [
      'a token of a cookie session',
      401,
      'auth.invalid_token',
      async () => bearer((await loggedIn(app, ALICE, 'cookie')).jar.get(COOKIES.access)!),
    ],
    [
      'two credentials',
      400,
      'auth.ambiguous_credentials',
      async () => ({
        ...bearer(alice.accessToken!),
        ...(await loggedIn(app, ALICE, 'cookie')).credentials(),
      }),
    ],
    [
      'a token of an ended session',
      401,
      'auth.session_ended',
      async () => {
        const ended = await loggedIn(app, BOB);
        expect((await ended.post('/v1/auth/logout', { refreshToken: ended.refreshToken })).status).toBe(204);
        return bearer(ended.accessToken!);
      },
    ],
  ])('answers %s as the guard of every route does: %i', async (_, status, code, headers) => {
    const [ours, theirs] = await answersTo(await headers());
    expect(ours).toMatchObject({ status, code });
    expect(theirs).toEqual(ours);
  });

  it('answers an expired token as the guard of every route does', async () => {
    const old = alice.accessToken!;
    app.clock.advance(16 * 60_000);
    const [ours, theirs] = await answersTo(bearer(old));
    expect(ours).toMatchObject({ status: 401, code: 'auth.token_expired' });
    expect(theirs).toEqual(ours);
  });

  it('leaves another strategy of passport-jwt as it is', async () => {
    const content = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub: 'acme' })}`;
    const token = `${content}.${createHmac('sha256', PARTNER_SECRET).update(content).digest('base64url')}`;
    const call = (headers: Record<string, string>) => app.client().get('/v1/passport/partner', { headers });
    expect(await call({ 'x-partner-token': token })).toMatchObject({
      status: 200,
      body: { partner: 'acme' },
    });
    expect((await call({ 'x-partner-token': `${token}x` })).status).toBe(401);
    expect((await call({ 'x-partner-token': alice.accessToken! })).status).toBe(401);
  });
});
