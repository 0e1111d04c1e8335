import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Get, Module, Post, Scope, type Type } from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { pino } from 'pino';
import { AdminOnly } from '../src/admin/admin.decorator.js';
import { AppModule } from '../src/app.module.js';
import { AllowApiKey } from '../src/auth/guards/allow-scope.decorator.js';
import { CurrentCaller } from '../src/auth/guards/current-caller.decorator.js';
import { CurrentUser } from '../src/auth/guards/current-user.decorator.js';
import { Public } from '../src/auth/guards/public.decorator.js';
import { Roles } from '../src/auth/guards/roles.decorator.js';
import { RouteDecoratorsCheck, RouteDecoratorsError } from '../src/auth/guards/route-decorators.check.js';
import { guardGateways } from '../src/auth/open-connections/gateways.js';
import { ProblemFilter } from '../src/platform/api/problem.filter.js';
import type { Caller, Principal } from '../src/platform/http/request.js';
import { loadSettings } from '../src/platform/settings/load-settings.js';
import { seedUsers } from '../src/seeds.js';
import { CurrentSession } from '../src/sessions/check/current-session.decorator.js';
import { RequireSession } from '../src/sessions/check/require-session.decorator.js';
import type { SessionSnapshot } from '../src/sessions/check/session-snapshot.js';
import { RateLimit } from '../src/platform/throttling/rate-limit.decorator.js';
import { Throttled } from '../src/platform/throttling/throttled.decorator.js';
import { ALICE, PASSWORD, resetStores, TEST_KEYS } from './support/app.js';
import { Client } from './support/client.js';
import { PROBE_READ } from './support/probe-routes.js';

/** The error of the audit for an application with these controllers; empty if it boots. */
async function faultsOf(...controllers: Type[]): Promise<string[]> {
  const module = await Test.createTestingModule({
    imports: [DiscoveryModule],
    controllers,
    providers: [RouteDecoratorsCheck],
  }).compile();
  try {
    await module.init();
    return [];
  } catch (error) {
    if (!(error instanceof RouteDecoratorsError)) throw error;
    expect(error.message).toBe(`contradictory route decorators:\n  ${error.faults.join('\n  ')}`);
    return error.faults;
  } finally {
    await module.close();
  }
}

/** Real: Nest, the decorators. */
describe('a mistake in decorators that would open a route stops the boot [SES-15]', () => {
  it('naming the route that is public and session at once', async () => {
    @Controller('accounts')
    class AccountsController {
      @Post()
      @Public()
      @RequireSession()
      open() {}
    }
    expect(await faultsOf(AccountsController)).toEqual([
      'POST AccountsController.open: @Public() contradicts @RequireSession()',
    ]);
  });

  it('on the route as well as on its controller', async () => {
    @Controller('a')
    @RequireSession({ maxAuthAge: '5m' })
    class ClosedController {
      @Get('open')
      @Public()
      open() {}

      @Get('closed')
      closed() {}
    }
    @Controller('b')
    @Public()
    class OpenController {
      @Get('closed')
      @RequireSession()
      closed() {}

      @Get('admin')
      @AdminOnly()
      admin() {}
    }
    expect(await faultsOf(ClosedController, OpenController)).toEqual([
      'GET ClosedController.open: @Public() contradicts @RequireSession()',
      'GET OpenController.closed: @Public() contradicts @RequireSession()',
      'GET OpenController.admin: @Public() contradicts @RequireSession()',
      'GET OpenController.admin: @Public() contradicts @Roles(): a public route has no user',
    ]);
  });

  it('for roles on a public route, empty roles, and unknown roles', async () => {
    @Controller('roles')
    class RolesController {
      @Get('a')
      @Public()
      @Roles('admin')
      anonymousAdmin() {}

      @Get('b')
      @RequireSession()
      @Roles()
      noRoles() {}

      @Get('c')
      @Roles('admin', 'amdin' as 'admin')
      misspelt() {}
    }
    expect(await faultsOf(RolesController)).toEqual([
      'GET RolesController.anonymousAdmin: @Public() contradicts @Roles(): a public route has no user',
      'GET RolesController.noRoles: @Roles() without a role refuses every user',
      "GET RolesController.misspelt: @Roles('amdin') names a role that does not exist",
    ]);
  });

  it.each(['5', '5 m', '-5m', '0s', '', 'soon', '5M'])('for an age of %j', async (maxAuthAge) => {
    @Controller('fresh')
    class FreshController {
      @Get()
      @RequireSession({ maxAuthAge: maxAuthAge as '5m' })
      fresh() {}
    }
    expect(await faultsOf(FreshController)).toEqual([
      expect.stringMatching(/^GET FreshController\.fresh: @RequireSession\(\): maxAuthAge /),
    ]);
  });

  it('also in an inherited handler, and in a request-scoped controller', async () => {
    @Controller()
    class Base {
      @Get('inherited')
      @Public()
      @RequireSession()
      inherited() {}
    }
    @Controller('derived')
    class DerivedController extends Base {}
    @Controller({ path: 'scoped', scope: Scope.REQUEST })
    class ScopedController {
      @Get()
      @Public()
      @RequireSession()
      scoped() {}
    }
    expect(await faultsOf(DerivedController, ScopedController)).toEqual([
      'GET DerivedController.inherited: @Public() contradicts @RequireSession()',
      'GET ScopedController.scoped: @Public() contradicts @RequireSession()',
    ]);
  });

  it('and correct decorators do not', async () => {
    @Controller('fine')
    class FineController {
      @Get('a') bare() {}

      @Get('b') @Public() open() {}

      @Get('c') @RequireSession() session() {}

      @Get('d') @RequireSession({ maxAuthAge: '5m', consistency: 'strict' }) strict() {}

      @Get('e') @AdminOnly() admin() {}

      @Get('f') @Roles('user', 'admin') byToken() {}

      @Post('g') @Public() @Throttled('password_forgot') forgot() {}

      @Post('h') @RequireSession() @Throttled('email_change') change() {}

      @Get('i') @RateLimit({ limit: 1, per: '1s' }) limited() {}

      helper() {}
    }
    expect(await faultsOf(FineController)).toEqual([]);
  });

  it('for a parameter that the guards of its route do not set', async () => {
    @Controller('parameters')
    class ParametersController {
      @Get('a')
      session(@CurrentSession() _session: SessionSnapshot) {}

      @Get('b')
      @Public()
      user(@CurrentUser() _user: Principal) {}

      @Get('c')
      @Public()
      caller(@CurrentCaller() _caller: Caller) {}

      @Get('d')
      @RequireSession()
      @AllowApiKey(PROBE_READ)
      both(@CurrentSession() _session: SessionSnapshot) {}

      @Get('e')
      @AllowApiKey(PROBE_READ)
      token(@CurrentUser() _user: Principal) {}
    }
    expect(await faultsOf(ParametersController)).toEqual([
      'GET ParametersController.session: @CurrentSession() requires @RequireSession()',
      'GET ParametersController.user: @Public() contradicts @CurrentUser() and @CurrentCaller(): a public route has no caller',
      'GET ParametersController.caller: @Public() contradicts @CurrentUser() and @CurrentCaller(): a public route has no caller',
      'GET ParametersController.both: @CurrentSession() contradicts @AllowApiKey(): a key has no session; use @CurrentCaller()',
      'GET ParametersController.token: @CurrentUser() contradicts @AllowApiKey(): a key has no access token; use @CurrentCaller()',
    ]);
  });

  it('for a route that demands of an API key what no key can prove [APK-02]', async () => {
    @Controller('keys')
    class KeysController {
      @Get('a')
      @RequireSession({ maxAuthAge: '5m' })
      @AllowApiKey(PROBE_READ)
      fresh() {}

      @Get('b')
      @AdminOnly()
      @AllowApiKey(PROBE_READ)
      admin() {}

      @Get('c')
      @Public()
      @AllowApiKey(PROBE_READ)
      open() {}

      @Get('d')
      @AllowApiKey('probe:raed' as typeof PROBE_READ)
      misspelt() {}

      @Get('e')
      @RequireSession({ awaitsSecondFactor: true })
      @AllowApiKey(PROBE_READ)
      factor() {}

      @Get('f')
      @RequireSession({ consistency: 'strict' })
      @AllowApiKey(PROBE_READ)
      fine(@CurrentCaller() _caller: Caller) {}

      @Get('g')
      @RequireSession()
      @AllowApiKey(PROBE_READ, { machinesOnly: true })
      machines() {}
    }
    expect(await faultsOf(KeysController)).toEqual([
      'GET KeysController.fresh: @AllowApiKey() contradicts @RequireSession() with a proof of identity: a key proves none',
      'GET KeysController.admin: @Roles() contradicts @AllowApiKey(): a key has no roles',
      'GET KeysController.open: @Public() contradicts @AllowApiKey(): a public route has no caller',
      "GET KeysController.misspelt: @AllowApiKey('probe:raed') names a scope that does not exist",
      'GET KeysController.factor: @AllowApiKey() contradicts @RequireSession() with a proof of identity: a key proves none',
      'GET KeysController.machines: @RequireSession() contradicts @AllowApiKey() with machinesOnly: a machine has no session',
    ]);
  });

  it('for an invalid limit, or one that counts users on a public route', async () => {
    @Controller()
    class LimitedController {
      @Post('a') @Public() @Throttled('no_such_policy' as never) unknown() {}

      @Post('b') @Public() @Throttled('email_change') nobodys() {}

      @Get('c') @RateLimit({ limit: 0, per: '1m' }) shut() {}

      @Get('d') @RateLimit({ limit: 5, per: 'a minute' as never }) endless() {}
    }
    expect(await faultsOf(LimitedController)).toEqual([
      "POST LimitedController.unknown: @Throttled('no_such_policy') names a policy that does not exist",
      "POST LimitedController.nobodys: @Throttled('email_change') counts users, but a @Public() route has none",
      'GET LimitedController.shut: @RateLimit() with a limit below 1 refuses every request',
      expect.stringMatching(/^GET LimitedController.endless: @RateLimit\(\): per is not a duration/),
    ]);
  });
});

/** Real: the whole application with one more module in it, PostgreSQL, the cache. */
describe('a mistake in a gateway stops the boot', () => {
  const gatewayFaults = async (...gateways: Type[]) => {
    const module = await Test.createTestingModule({
      imports: [DiscoveryModule],
      providers: [RouteDecoratorsCheck, ...gateways],
    }).compile();
    try {
      guardGateways(module.get(DiscoveryService));
      module.get(RouteDecoratorsCheck).onModuleInit();
      return '';
    } catch (error) {
      return (error as Error).message;
    } finally {
      await module.close();
    }
  };

  @WebSocketGateway({ path: '/v1/right' })
  @RequireSession()
  class RightGateway {
    @SubscribeMessage('say')
    say(@CurrentSession() { id }: SessionSnapshot) {
      return id;
    }
  }

  it('and a correct gateway does not', async () => {
    expect(await gatewayFaults(RightGateway)).toBe('');
  });

  it.each([
    ['no path', () => WebSocketGateway(), /NamelessGateway: path is not set/],
    ['a path that is no path of the API', () => WebSocketGateway({ path: 'chat' }), /path is not set/],
    ['a port of its own', () => WebSocketGateway(4_000, { path: '/x' }), /has no port of its own/],
    [
      'the path of another one',
      () => WebSocketGateway({ path: '/v1/right' }),
      /another gateway has the path/,
    ],
  ])('%s', async (_, decorate, fault) => {
    class NamelessGateway {}
    decorate()(NamelessGateway);
    expect(await gatewayFaults(RightGateway, NamelessGateway)).toMatch(fault);
  });

  it('a tier on a message, where it would have no effect', async () => {
    @WebSocketGateway({ path: '/v1/lax' })
    class LaxGateway {
      @SubscribeMessage('pay')
      @RequireSession()
      pay() {}
    }
    expect(await gatewayFaults(LaxGateway)).toBe(
      'LaxGateway.pay: a tier on a message has no effect; put it on the class',
    );
  });

  it('contradictory decorators on its class, and parameters that its guards do not set', async () => {
    @WebSocketGateway({ path: '/v1/both' })
    @Public()
    @Roles('admin')
    class BothGateway {
      @SubscribeMessage('say')
      say(@CurrentSession() { id }: SessionSnapshot) {
        return id;
      }
    }
    expect(await gatewayFaults(BothGateway)).toBe(
      `contradictory route decorators:
  WebSocket BothGateway at /v1/both: @Public() contradicts @Roles(): a public route has no user
  WebSocket BothGateway at /v1/both: @CurrentSession() requires @RequireSession()`,
    );
  });
});

describe('a feature module without guards of its own', () => {
  @Controller('feature')
  class FeatureController {
    @Get('bare')
    bare(@CurrentUser() { userId }: Principal) {
      return { userId };
    }

    @Get('open')
    @Public()
    open() {
      return { open: true };
    }

    @Get('strict')
    @RequireSession({ consistency: 'strict' })
    strict(@CurrentSession() { id }: SessionSnapshot) {
      return { id };
    }

    @Get('admin')
    @AdminOnly()
    admin() {
      return { admin: true };
    }

    @Get('limited')
    @RateLimit({ limit: 2, per: '5m' })
    limited() {
      return { limited: true };
    }
  }

  let app: NestFastifyApplication;
  let alice: Client;

  beforeAll(async () => {
    await resetStores();
    const settings = loadSettings({
      NODE_ENV: 'test',
      DATABASE_URL: process.env['TEST_DATABASE_URL'],
      REDIS_URL: process.env['TEST_REDIS_URL'],
    });
    const logger = pino({ level: 'silent' });
    @Module({
      imports: [AppModule.forRoot(settings, TEST_KEYS, { logger })],
      controllers: [FeatureController],
    })
    class WithFeature {}
    app = await NestFactory.create<NestFastifyApplication>(WithFeature, new FastifyAdapter(), {
      logger: false,
    });
    app.useGlobalFilters(new ProblemFilter(logger, [], () => []));
    app.setGlobalPrefix('v1');
    await app.init();
    await seedUsers(app);
    alice = new Client(app);
    await alice.login(ALICE.email, PASSWORD, { transport: 'bearer' });
  });
  afterAll(() => app.close());

  it('is closed by default, and open only where it declares so [AZ-01, SES-15]', async () => {
    const anonymous = new Client(app);
    for (const route of ['bare', 'strict', 'admin']) {
      const answer = await anonymous.get(`/v1/feature/${route}`);
      expect({ route, ...answer }).toMatchObject({
        route,
        status: 401,
        body: { code: 'auth.unauthenticated' },
      });
    }
    expect(await anonymous.get('/v1/feature/open')).toMatchObject({ status: 200, body: { open: true } });
    const headers = { authorization: 'Bearer forged' };
    for (const route of ['bare', 'strict', 'admin']) {
      const answer = await anonymous.get(`/v1/feature/${route}`, { headers });
      expect({ route, ...answer }).toMatchObject({
        route,
        status: 401,
        body: { code: 'auth.invalid_token' },
      });
    }
  });

  it('gets the caller, or the checked session, from decorators alone', async () => {
    expect(await alice.get('/v1/feature/bare')).toMatchObject({ status: 200, body: { userId: ALICE.id } });
    const current = await alice.get('/v1/sessions/current');
    expect(await alice.get('/v1/feature/strict')).toMatchObject({
      status: 200,
      body: { id: current.body.id },
    });
    expect(await alice.get('/v1/feature/admin')).toMatchObject({
      status: 403,
      body: { code: 'auth.forbidden' },
    });
  });

  it('limits its callers by a decorator', async () => {
    const answers = [1, 2, 3].map(() => alice.get('/v1/feature/limited'));
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 429]);
    expect((await alice.get('/v1/feature/bare')).status).toBe(200);
  });
});
