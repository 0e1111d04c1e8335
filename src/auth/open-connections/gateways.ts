import type { Type } from '@nestjs/common';
import { EXCEPTION_FILTERS_METADATA, PIPES_METADATA } from '@nestjs/common/constants.js';
import { MetadataScanner, type DiscoveryService } from '@nestjs/core';
import {
  GATEWAY_METADATA,
  GATEWAY_OPTIONS,
  MESSAGE_MAPPING_METADATA,
  PORT_METADATA,
} from '@nestjs/websockets/constants.js';
import { validationPipe } from '../../platform/api/validation.pipe.js';
import { BootError } from '../../platform/settings/boot-error.js';
import { SessionRoute } from '../../sessions/check/require-session.decorator.js';
import { ScopedRoute } from '../guards/allow-scope.decorator.js';
import { PublicRoute } from '../guards/public.decorator.js';
import { RolesRoute } from '../guards/roles.decorator.js';
import { MessageProblemFilter } from './message-problem.filter.js';

/** A class with `@WebSocketGateway()`. */
export interface Gateway {
  path: string;
  type: Type;
  instance: object;
}

/** They have no state, so all applications of a process share them. */
const FILTER = new MessageProblemFilter();
const PIPE = validationPipe();
const TIERS = [PublicRoute, SessionRoute, RolesRoute, ScopedRoute];

/** The handler of every gateway, for the guards: its decorators are on the class. */
export function connect(): void {}

/**
 * The gateways of the application.
 *
 * @throws BootError if a gateway has no path, or a port of its own
 */
export function gatewaysIn(discovery: DiscoveryService): Gateway[] {
  return discovery
    .getProviders()
    .filter(({ metatype }) => metatype && Reflect.hasMetadata(GATEWAY_METADATA, metatype))
    .map(({ metatype, instance }) => ({
      path: pathOf(metatype!),
      type: metatype as Type,
      instance: instance as object,
    }));
}

/**
 * Gives each gateway the filter for problems and the pipe for schemas. Call it before the application registers its
 * gateways.
 *
 * @throws BootError if two gateways have the same path, or if one has a tier on a message; as {@link gatewaysIn}
 */
export function guardGateways(discovery: DiscoveryService): Gateway[] {
  const gateways: Gateway[] = [];
  for (const gateway of gatewaysIn(discovery)) {
    const metatype = gateway.type;
    if (gateways.some(({ path }) => path === gateway.path))
      throw new BootError(
        `${metatype.name}: another gateway has the path ${gateway.path}; choose another path`,
      );
    requireTierOnClass(gateway);
    include(EXCEPTION_FILTERS_METADATA, FILTER, metatype);
    include(PIPES_METADATA, PIPE, metatype);
    gateways.push(gateway);
  }
  return gateways;
}

function pathOf(metatype: Function): string {
  const { path } = (Reflect.getMetadata(GATEWAY_OPTIONS, metatype) ?? {}) as { path?: string };
  const port = Reflect.getMetadata(PORT_METADATA, metatype) as number | undefined;
  if (port)
    throw new BootError(`${metatype.name}: a gateway has no port of its own; allowed: { path: '/v1/…' }`);
  if (!path?.startsWith('/'))
    throw new BootError(`${metatype.name}: path is not set; allowed: { path: '/v1/…' }`);
  return path;
}

/** The guards decide when the connection is opened, so a tier on one message would have no effect. */
function requireTierOnClass({ type }: Gateway): void {
  const prototype = type.prototype as Record<string, object>;
  for (const name of new MetadataScanner().getAllMethodNames(prototype)) {
    const handler = prototype[name]!;
    if (!Reflect.hasMetadata(MESSAGE_MAPPING_METADATA, handler)) continue;
    if (TIERS.some(({ KEY }) => Reflect.hasMetadata(KEY, handler)))
      throw new BootError(`${type.name}.${name}: a tier on a message has no effect; put it on the class`);
  }
}

function include(key: string, value: unknown, target: Function): void {
  const others = (Reflect.getMetadata(key, target) ?? []) as unknown[];
  if (!others.includes(value)) Reflect.defineMetadata(key, [value, ...others], target);
}
