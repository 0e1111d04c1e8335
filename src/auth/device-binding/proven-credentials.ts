import { createParamDecorator, Injectable, type ExecutionContext, type PipeTransform } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { metadataReader } from '../../platform/api/cached-metadata.js';
import { Settings } from '../../platform/settings/settings.js';
import { BindingTokens } from '../../sessions/binding/binding-tokens.js';
import { bindsSessions, type KeyProof } from '../../sessions/binding/session-binding.js';
import { CookieRoute } from '../guards/answers-with-cookies.decorator.js';
import type { Credentials } from '../guards/credentials.js';
import { bodyOf } from '../guards/cross-site.guard.js';
import { DpopProofs } from './dpop-proofs.service.js';

interface ProvenRequest {
  request: FastifyRequest;
  /** Whether the session of this request has the bearer transport, or gets it. */
  isBearer: boolean;
}

/** Adds the proof of the device key: a bound cookie, or a DPoP proof. */
@Injectable()
export class KeyProofPipe implements PipeTransform<ProvenRequest, Promise<Credentials>> {
  constructor(
    private readonly tokens: BindingTokens,
    private readonly dpopProofs: DpopProofs,
    private readonly settings: Settings,
  ) {}

  async transform({ request, isBearer }: ProvenRequest): Promise<Credentials> {
    const { credentials } = request;
    return {
      ...credentials,
      keyProof: isBearer ? await this.byHeader(request) : this.byCookie(credentials),
    };
  }

  private byCookie({ boundCookie }: Credentials): KeyProof | null {
    const claims = boundCookie === null ? null : this.tokens.open('boundCookie', boundCookie);
    return claims && { carrier: 'dbsc', sessionId: claims.sessionId, version: claims.number };
  }

  private async byHeader(request: FastifyRequest): Promise<KeyProof | null> {
    const { dpop } = request.headers;
    if (typeof dpop !== 'string' || !bindsSessions(this.settings)) return null;
    return { carrier: 'dpop', key: await this.dpopProofs.verify(dpop, request) };
  }
}

const asksForCookies = metadataReader(CookieRoute);

const Request = createParamDecorator((_: unknown, context: ExecutionContext): ProvenRequest => {
  const request = context.switchToHttp().getRequest<FastifyRequest>();
  const asks = asksForCookies(context);
  const isBearer = asks ? !asks(bodyOf(request)) : request.credentials.transport === 'bearer';
  return { request, isBearer };
});

/**
 * The credentials of this request with the proof of its device key, for routes that begin, renew or step up a session.
 * The route also needs `@AcceptsKeyProof()`.
 *
 * @throws Problem `auth.invalid_dpop_proof`, `auth.dpop_nonce_required`, `auth.unavailable`
 */
export const ProvenCredentials = () => Request(KeyProofPipe);
