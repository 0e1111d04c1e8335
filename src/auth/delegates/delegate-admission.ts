import type { ExecutionContext } from '@nestjs/common';
import type { DocumentBuilder } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import type { ScopedRouteOptions } from '../guards/allow-scope.decorator.js';
import type { Credentials } from '../guards/credentials.js';
import type { Admission, RouteContext } from '../open-connections/admission.js';

/**
 * The part of the access guard that admits requests with one kind of credential beside sessions, such as API keys.
 *
 * @typeParam Recognised the result of {@link recognise}
 */
export interface DelegateAdmission<Recognised = unknown> {
  /** The name of the credential in the API document, and the scheme that describes it there. */
  readonly securityScheme: {
    readonly name: string;
    readonly scheme: Parameters<DocumentBuilder['addSecurity']>[1];
  };

  /** Whether routes with these options let the credential in. For the API document only: {@link recognise} decides. */
  mayCall(route: Pick<ScopedRouteOptions, 'apps'>): boolean;

  /** Whether these are of this kind. They may still be forged. Every request passes here, so it must be cheap. */
  concerns(credentials: Credentials): boolean;

  /**
   * Recognises the credential of a request, by itself and by the ends that this instance knows, without I/O. The guard
   * calls it again after it has waited for a revocation.
   *
   * @throws Problem `auth.unauthenticated` on a route that does not let the credential in, or another refusal
   */
  recognise(context: RouteContext, request: FastifyRequest): Recognised;

  /**
   * Checks what {@link recognise} has returned, and sets `request.delegate`.
   *
   * @throws Problem the refusal
   */
  admit(context: ExecutionContext, request: FastifyRequest, recognised: Recognised): Promise<true>;

  /** The admission of a connection that an admitted request has opened. */
  forConnection(context: RouteContext, request: FastifyRequest): Admission;
}
