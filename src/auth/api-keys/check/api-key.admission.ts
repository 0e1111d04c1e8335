import { Injectable, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { metadataReader } from '../../../platform/api/cached-metadata.js';
import { Problem } from '../../../platform/api/problem.js';
import { requestContextOf } from '../../../platform/http/request.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { Settings } from '../../../platform/settings/settings.js';
import { SessionRoute } from '../../../sessions/check/require-session.decorator.js';
import type { ParsedApiKey } from '../api-key-format.js';
import { apiKeySettings } from '../settings.js';
import type { Admission, RouteContext } from '../../open-connections/admission.js';
import type { DelegateAdmission } from '../../delegates/delegate-admission.js';
import { DelegateAdmissions } from '../../delegates/delegate-admissions.js';
import { ScopedRoute } from '../../guards/allow-scope.decorator.js';
import type { Credentials } from '../../guards/credentials.js';
import { ApiKeyCheck } from './api-key-check.js';
import { ApiKeyUses } from './api-key-uses.js';
import { WrongKeys } from './wrong-keys.js';

const MINUTE_MS = 60_000;

/** The part of the access guard that admits requests with an API key. */
@Injectable()
export class ApiKeyAdmission implements DelegateAdmission<ParsedApiKey> {
  readonly securityScheme = {
    name: 'apiKey',
    scheme: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
  } as const;
  private readonly routeOf = metadataReader(ScopedRoute);
  private readonly sessionOf = metadataReader(SessionRoute);
  private readonly requestsPerMinute: number;

  constructor(
    private readonly keys: ApiKeyCheck,
    private readonly wrongKeys: WrongKeys,
    private readonly uses: ApiKeyUses,
    private readonly clock: Clock,
    private readonly settings: Settings,
    delegates: DelegateAdmissions,
  ) {
    delegates.register('api_key', this);
    this.requestsPerMinute = apiKeySettings(settings).apiKeyRequestsPerMinute;
  }

  mayCall(): boolean {
    return true;
  }

  concerns({ apiKey }: Credentials): boolean {
    return apiKey !== null;
  }

  /**
   * Recognises the key of a request, without I/O.
   *
   * @throws Problem `auth.unauthenticated` on a route without `@AllowApiKey()`; `auth.invalid_key`
   */
  recognise(context: RouteContext, { credentials }: FastifyRequest): ParsedApiKey {
    if (this.routeOf(context) === undefined) throw new Problem('auth.unauthenticated');
    return this.keys.recognise(credentials.apiKey!);
  }

  /**
   * Checks a recognised key. The caller-limit guard then counts its requests.
   *
   * @throws Problem as `ApiKeyCheck.require` and `WrongKeys.watch`
   */
  async admit(context: ExecutionContext, request: FastifyRequest, key: ParsedApiKey): Promise<true> {
    const requestContext = requestContextOf(request);
    const consistency = this.sessionOf(context)?.consistency ?? 'cached';
    const requirement = { scope: this.routeOf(context)!.scope, consistency };
    const { caller, requestsPerMinute, deprecated } = await this.wrongKeys.watch(
      key.digest,
      requestContext,
      () => this.keys.require(key, requirement, requestContext.ip),
    );
    request.delegate = caller;
    request.callerLimit = {
      policy: 'api-key',
      key: caller.id,
      limit: Math.min(requestsPerMinute ?? Infinity, this.requestsPerMinute),
      windowMs: MINUTE_MS,
    };
    if (deprecated) tellDeprecation(context.switchToHttp().getResponse(), deprecated);
    this.uses.note(caller, requestContext.ip);
    return true;
  }

  /** The admission of a connection that a request with a key has opened. */
  forConnection(context: RouteContext, request: FastifyRequest): Admission {
    const key = this.keys.recognise(request.credentials.apiKey!);
    const session = this.sessionOf(context);
    const requirement = {
      scope: this.routeOf(context)!.scope,
      consistency: session?.consistency ?? ('cached' as const),
    };
    return {
      caller: request.delegate!,
      credentialIds: [key.id],
      checksEachMessage: session !== undefined,
      until: 0,
      objection: () => this.keys.objectionTo(key),
      check: async () => {
        const { endsAt } = await this.keys.require(key, requirement, request.clientAddress);
        return Math.min(endsAt, this.clock.now() + this.settings.accessTokenTtl);
      },
    };
  }
}

/** The secret before a rotation: deprecated since (RFC 9745), and refused from the sunset on (RFC 8594). */
function tellDeprecation(reply: FastifyReply, { since, until }: { since: number; until: number }): void {
  void reply
    .header('deprecation', `@${Math.floor(since / 1_000)}`)
    .header('sunset', new Date(until).toUTCString());
}
