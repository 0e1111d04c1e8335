import { applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiExtension } from '@nestjs/swagger';

export const PublicRoute = Reflector.createDecorator<true>();

/** Opens a route to unauthenticated callers. A route with no tier decorator requires a valid access token. */
export function Public() {
  return applyDecorators(PublicRoute(true), ApiExtension('x-tier', 'public'));
}
