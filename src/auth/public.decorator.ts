import { applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiExtension } from '@nestjs/swagger';

export const PublicRoute = Reflector.createDecorator<true>();

/** Opens a route to everybody. Without it, and without anything else, a valid access token is wanted. */
export function Public() {
  return applyDecorators(PublicRoute(true), ApiExtension('x-tier', 'public'));
}
