import { Injectable, RequestMethod, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import {
  GUARDS_METADATA,
  METHOD_METADATA,
  PATH_METADATA,
  ROUTE_ARGS_METADATA,
} from '@nestjs/common/constants.js';
import { BootError } from '../../platform/settings/boot-error.js';
import { milliseconds } from '../../platform/settings/duration.js';
import { metadataReader } from '../../platform/api/cached-metadata.js';
import { ROLES } from '../../roles.js';
import { SCOPES } from '../../scopes.js';
import { readSession } from '../../sessions/check/current-session.decorator.js';
import { maxAuthAgeOf, SessionRoute } from '../../sessions/check/require-session.decorator.js';
import { POLICIES } from '../../platform/throttling/policies.js';
import { RateLimitedRoute } from '../../platform/throttling/rate-limit.decorator.js';
import { ThrottledRoute } from '../../platform/throttling/throttled.decorator.js';
import { connect, gatewaysIn } from '../open-connections/gateways.js';
import { ScopedRoute, type ScopedRouteOptions } from './allow-scope.decorator.js';
import { readCaller } from './current-caller.decorator.js';
import { readUser } from './current-user.decorator.js';
import { PublicRoute } from './public.decorator.js';
import { RolesRoute } from './roles.decorator.js';

/** Stops the boot if the decorators of a route contradict each other: a typing error must not make a route public. */
@Injectable()
export class RouteDecoratorsCheck implements OnModuleInit {
  private readonly isPublic = metadataReader(PublicRoute);
  private readonly sessionOf = metadataReader(SessionRoute);
  private readonly rolesOf = metadataReader(RolesRoute);
  private readonly policyOf = metadataReader(ThrottledRoute);
  private readonly limitOf = metadataReader(RateLimitedRoute);
  private readonly scopedOf = metadataReader(ScopedRoute);

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
  ) {}

  onModuleInit(): void {
    const faults = [...this.routes(), ...this.gateways()].flatMap((route) =>
      this.faultsOf(route).map((fault) => `${route.name}: ${fault}`),
    );
    if (faults.length > 0) throw new RouteDecoratorsError(faults);
  }

  private routes(): Route[] {
    return this.discovery.getControllers().flatMap(({ instance, metatype }) => {
      if (!instance || !metatype) return [];
      const prototype = Object.getPrototypeOf(instance) as Record<string, () => unknown>;
      return this.scanner
        .getAllMethodNames(prototype)
        .filter((method) => Reflect.hasMetadata(PATH_METADATA, prototype[method]!))
        .map((method) => {
          const handler = prototype[method]!;
          const verb = RequestMethod[Reflect.getMetadata(METHOD_METADATA, handler) as number];
          return {
            name: `${verb} ${metatype.name}.${method}`,
            getHandler: () => handler,
            getClass: () => metatype as never,
            reads: factoriesOf(metatype, method),
            hasOwnGuards: [handler, metatype].some((target) => Reflect.hasMetadata(GUARDS_METADATA, target)),
          };
        });
    });
  }

  /** The decorators of a gateway are on its class, and the parameters of all its messages must agree with them. */
  private gateways(): Route[] {
    return gatewaysIn(this.discovery).map(({ path, type }) => ({
      name: `WebSocket ${type.name} at ${path}`,
      getHandler: () => connect,
      getClass: () => type as never,
      reads: new Set(
        this.scanner.getAllMethodNames(type.prototype).flatMap((method) => [...factoriesOf(type, method)]),
      ),
      hasOwnGuards: Reflect.hasMetadata(GUARDS_METADATA, type),
    }));
  }

  private faultsOf(route: Route): string[] {
    const session = this.sessionOf(route);
    const roles = this.rolesOf(route);
    const faults: string[] = [];
    if (this.isPublic(route) && session) faults.push('@Public() contradicts @RequireSession()');
    if (this.isPublic(route) && roles)
      faults.push('@Public() contradicts @Roles(): a public route has no user');
    if (roles?.length === 0) faults.push('@Roles() without a role refuses every user');
    for (const role of roles ?? []) {
      if (!ROLES.has(role)) faults.push(`@Roles('${role}') names a role that does not exist`);
    }
    if (session) faults.push(...faultsIn('@RequireSession(): maxAuthAge', () => maxAuthAgeOf(session)));
    return [
      ...faults,
      ...this.parameterFaultsOf(route),
      ...this.keyFaultsOf(route),
      ...this.limitFaultsOf(route),
    ];
  }

  /** A parameter that the guards of the route do not set would be an error at the first request. */
  private parameterFaultsOf(route: Route): string[] {
    const faults: string[] = [];
    const isPublic = this.isPublic(route);
    const scoped = this.scopedOf(route);
    if (route.reads.has(readSession) && !this.sessionOf(route))
      faults.push('@CurrentSession() requires @RequireSession()');
    if (route.reads.has(readSession) && scoped)
      faults.push(
        `@CurrentSession() contradicts ${nameOf(scoped)}: a key has no session; use @CurrentCaller()`,
      );
    if (route.reads.has(readUser) && scoped)
      faults.push(
        `@CurrentUser() contradicts ${nameOf(scoped)}: a key has no access token; use @CurrentCaller()`,
      );
    if (isPublic && !route.hasOwnGuards && (route.reads.has(readUser) || route.reads.has(readCaller)))
      faults.push('@Public() contradicts @CurrentUser() and @CurrentCaller(): a public route has no caller');
    return faults;
  }

  /** A key or an app proves neither a password nor a role: a demand for one would only ever be met by people, or never. */
  private keyFaultsOf(route: Route): string[] {
    const scoped = this.scopedOf(route);
    if (scoped === undefined) return [];
    const { scope } = scoped;
    const name = nameOf(scoped);
    const { maxAuthAge, bySecondFactor, provesIdentity, awaitsSecondFactor } = this.sessionOf(route) ?? {};
    const faults: string[] = [];
    if (!SCOPES.has(scope)) faults.push(`${name.slice(0, -1)}'${scope}') names a scope that does not exist`);
    if (this.isPublic(route)) faults.push(`@Public() contradicts ${name}: a public route has no caller`);
    if (scoped.machinesOnly && this.sessionOf(route))
      faults.push(`@RequireSession() contradicts ${name} with machinesOnly: a machine has no session`);
    if (this.rolesOf(route)) faults.push(`@Roles() contradicts ${name}: a key has no roles`);
    if (maxAuthAge ?? bySecondFactor ?? provesIdentity ?? awaitsSecondFactor)
      faults.push(`${name} contradicts @RequireSession() with a proof of identity: a key proves none`);
    return faults;
  }

  private limitFaultsOf(route: Route): string[] {
    const policy = this.policyOf(route);
    const own = this.limitOf(route);
    const faults: string[] = [];
    if (policy && !Object.hasOwn(POLICIES, policy))
      faults.push(`@Throttled('${policy}') names a policy that does not exist`);
    else if (policy && 'user' in POLICIES[policy] && this.isPublic(route))
      faults.push(`@Throttled('${policy}') counts users, but a @Public() route has none`);
    if (own && !(Number.isInteger(own.limit) && own.limit >= 1))
      faults.push('@RateLimit() with a limit below 1 refuses every request');
    if (own) faults.push(...faultsIn('@RateLimit(): per', () => milliseconds(own.per)));
    return faults;
  }
}

const nameOf = ({ apps }: ScopedRouteOptions): string => (apps ? '@AllowScope()' : '@AllowApiKey()');

interface Route {
  name: string;
  getHandler: () => () => unknown;
  getClass: () => never;
  /** The functions behind the parameter decorators of the handler. */
  reads: ReadonlySet<unknown>;
  /** `@UseGuards()`, such as another strategy of Passport: they may set the user of a public route. */
  hasOwnGuards: boolean;
}

function factoriesOf(controller: object, method: string): ReadonlySet<unknown> {
  const parameters = (Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, method) ?? {}) as Record<
    string,
    { factory?: unknown }
  >;
  return new Set(Object.values(parameters).map(({ factory }) => factory));
}

function faultsIn(where: string, parse: () => unknown): string[] {
  try {
    parse();
    return [];
  } catch (error) {
    return [`${where} ${(error as Error).message}`];
  }
}

/** The boot error of {@link RouteDecoratorsCheck}, with all contradictions. */
export class RouteDecoratorsError extends BootError {
  constructor(readonly faults: string[]) {
    super(`contradictory route decorators:\n  ${faults.join('\n  ')}`);
  }
}
