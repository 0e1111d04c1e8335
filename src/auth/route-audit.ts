import { Injectable, RequestMethod, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';
import { BootError } from '../common/boot-error.js';
import { metadataReader } from '../common/metadata.js';
import { ROLES } from '../common/roles.js';
import { maxAuthAgeOf, SessionRoute } from '../sessions/require-session.decorator.js';
import { PublicRoute } from './public.decorator.js';
import { RolesRoute } from './roles.decorator.js';

/** Stops the boot over a route whose decorators contradict each other: a typing error must not open a door. */
@Injectable()
export class RouteAudit implements OnModuleInit {
  private readonly isPublic = metadataReader(PublicRoute);
  private readonly sessionOf = metadataReader(SessionRoute);
  private readonly rolesOf = metadataReader(RolesRoute);

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
  ) {}

  onModuleInit(): void {
    const faults = this.routes().flatMap((route) =>
      this.faultsOf(route).map((fault) => `${route.name}: ${fault}`),
    );
    if (faults.length > 0) throw new RouteContradiction(faults);
  }

  private routes() {
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
          };
        });
    });
  }

  private faultsOf(route: Parameters<typeof this.isPublic>[0]): string[] {
    const session = this.sessionOf(route);
    const roles = this.rolesOf(route);
    const faults: string[] = [];
    if (this.isPublic(route) && session) faults.push('@Public() opens what @RequireSession() closes');
    if (this.isPublic(route) && roles) faults.push('@Public() knows nobody whose @Roles() could be judged');
    if (roles?.length === 0) faults.push('@Roles() without a role lets nobody in');
    for (const role of roles ?? []) {
      if (!ROLES.includes(role)) faults.push(`@Roles('${role}') names a role that does not exist`);
    }
    if (session) {
      try {
        maxAuthAgeOf(session);
      } catch (error) {
        faults.push(`@RequireSession(): maxAuthAge ${(error as Error).message}`);
      }
    }
    return faults;
  }
}

export class RouteContradiction extends BootError {
  constructor(readonly faults: string[]) {
    super(`routes contradict themselves:\n  ${faults.join('\n  ')}`);
  }
}
