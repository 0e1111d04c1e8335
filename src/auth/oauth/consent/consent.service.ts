import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Provider } from 'oidc-provider';
import { Problem } from '../../../platform/api/problem.js';
import type { RequestContext } from '../../../platform/http/request.js';
import { milliseconds } from '../../../platform/settings/duration.js';
import type { SessionSnapshot } from '../../../sessions/check/session-snapshot.js';
import { PRODUCT } from '../../../product.js';
import { UserRepository } from '../../../users/user.repository.js';
import { GrantsService } from '../grants.service.js';
import { OAuthProvider } from '../provider/oauth-provider.js';
import { OPENID_SCOPES, OAuthResources, type Resource } from '../provider/resources.js';

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;

/** As for the creation of an API key: what outlives the session needs a recent proof of identity. */
const MAX_AUTH_AGE_MS = milliseconds('5m');
/** An app that asks for a new login gets one of the last minute. */
const NEW_LOGIN_MS = milliseconds('1m');

/** The request of an app, in words for people. */
export interface ConsentRequest {
  /** The address of the user, so that they see for which account they decide. */
  account: string;
  app: { id: string; name: string; uri?: string; redirectsTo: string };
  /** Where the app would use its access, with what it may do there. */
  access: { service: string; scopes: { scope: string; description: string }[] }[];
  outlivesSession: boolean;
}

/** The pages of login and consent: what an app asks for, and what its user decides. */
@Injectable()
export class ConsentService {
  constructor(
    private readonly provider: OAuthProvider,
    private readonly resources: OAuthResources,
    private readonly grants: GrantsService,
    private readonly users: UserRepository,
  ) {}

  /** @throws Problem `resource.not_found` if this browser has not begun this authorization, or it has expired */
  async read(
    uid: string,
    request: FastifyRequest,
    reply: FastifyReply,
    session: SessionSnapshot,
  ): Promise<ConsentRequest> {
    const interaction = await this.interactionOf(uid, request, reply);
    const { client, wanted } = await this.wishOf(interaction, session);
    const { openid, access } = wanted;
    const user = await this.users.find(session.userId);
    const about = openid.map((scope) => ({ scope, description: OPENID_SCOPES[scope]! }));
    const own = { service: PRODUCT.name, scopes: about };
    const elsewhere: ConsentRequest['access'] = [];
    for (const { resource, scopes } of access) {
      const described = scopes.map((scope) => ({ scope, description: resource.scopes.get(scope)! }));
      if (resource.id === this.resources.home) own.scopes.push(...described);
      else elsewhere.push({ service: resource.name, scopes: described });
    }
    return {
      account: user?.email ?? '',
      app: {
        id: client.clientId,
        name: client.clientName ?? client.clientId,
        ...(client.clientUri && { uri: client.clientUri }),
        redirectsTo: new URL(String(interaction.params['redirect_uri'])).host,
      },
      access: own.scopes.length > 0 ? [own, ...elsewhere] : elsewhere,
      outlivesSession: openid.includes('offline_access'),
    };
  }

  /**
   * Gives the app what it asks for.
   *
   * @returns where the browser goes on
   * @throws Problem `resource.not_found`, `auth.reauthentication_required`, `auth.session_ended`
   */
  async allow(
    uid: string,
    request: FastifyRequest,
    reply: FastifyReply,
    session: SessionSnapshot,
    context: RequestContext,
  ): Promise<string> {
    const interaction = await this.interactionOf(uid, request, reply);
    const { client, wanted } = await this.wishOf(interaction, session);
    const { openid, access } = wanted;
    const outlivesSession = openid.includes('offline_access');
    const provider = this.provider.current();
    const id = await this.grants.give(
      session,
      {
        clientId: client.clientId,
        clientName: client.clientName ?? client.clientId,
        scopes: [...openid, ...access.flatMap(({ scopes }) => scopes)],
        outlivesSession,
      },
      context,
      maxAuthAgeOf(interaction, outlivesSession),
    );
    const grant = new provider.Grant({ accountId: session.userId, clientId: client.clientId });
    grant.jti = id;
    if (openid.length > 0) grant.addOIDCScope(openid.join(' '));
    for (const { indicator, scopes } of access) grant.addResourceScope(indicator, scopes.join(' '));
    this.rejectOthers(grant, wanted);
    await grant.save();
    return provider.interactionResult(request.raw, reply.raw, {
      login: {
        accountId: session.userId,
        ts: Math.floor(session.authenticatedAt / 1_000),
        remember: false,
      },
      consent: { grantId: id },
    });
  }

  /** @returns where the browser goes on: the app learns that its user has refused */
  async deny(uid: string, request: FastifyRequest, reply: FastifyReply): Promise<string> {
    await this.interactionOf(uid, request, reply);
    return this.provider.current().interactionResult(
      request.raw,
      reply.raw,
      {
        error: 'access_denied',
        error_description: 'the user has refused',
      },
      { mergeWithLastSubmission: false },
    );
  }

  /** The cookie of the browser names the authorization. The page has the same name in its address. */
  private async interactionOf(
    uid: string,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<Interaction> {
    const provider = this.provider.current();
    const found = await provider.interactionDetails(request.raw, reply.raw).catch((error: Error) => {
      if (error.name === 'SessionNotFound') return null;
      throw error;
    });
    if (found?.uid !== uid) throw new Problem('resource.not_found');
    return found;
  }

  private async wishOf({ params }: Interaction, { roles }: SessionSnapshot) {
    const client = await this.provider.current().Client.find(String(params['client_id']));
    if (!client) throw new Problem('resource.not_found');
    const scopes = String(params['scope'] ?? '').split(' ');
    const indicators = [params['resource'] ?? []].flat() as string[];
    const access = indicators.flatMap((indicator): Access[] => {
      const resource = this.resources.find(indicator);
      const grantable = resource ? this.resources.grantable(resource, scopes, roles) : [];
      return resource && grantable.length > 0 ? [{ indicator, resource, scopes: grantable }] : [];
    });
    const openid = scopes.filter((scope) => Object.hasOwn(OPENID_SCOPES, scope));
    return { client, wanted: { all: scopes, openid, access, indicators } };
  }

  /** A scope that the user may not grant is refused, so that the library does not ask for it again. */
  private rejectOthers(
    grant: InstanceType<Provider['Grant']>,
    { all, access, indicators }: { all: string[]; access: Access[]; indicators: string[] },
  ): void {
    for (const indicator of indicators) {
      const given = access.find((each) => each.indicator === indicator)?.scopes ?? [];
      const refused = all.filter(
        (scope) => this.resources.find(indicator)?.scopes.has(scope) && !given.includes(scope),
      );
      if (refused.length > 0) grant.rejectResourceScope(indicator, refused.join(' '));
    }
  }
}

/** How recently the user must have proved their identity, in ms: as the app wants it, and for lasting access. */
function maxAuthAgeOf({ params }: Interaction, outlivesSession: boolean): number {
  const prompts = String(params['prompt'] ?? '').split(' ');
  return Math.min(
    outlivesSession ? MAX_AUTH_AGE_MS : Infinity,
    prompts.includes('login') ? NEW_LOGIN_MS : Infinity,
    params['max_age'] === undefined ? Infinity : Math.max(Number(params['max_age']) * 1_000, NEW_LOGIN_MS),
  );
}

interface Access {
  /** The identifier of the resource, as the app has written it. */
  indicator: string;
  resource: Resource;
  scopes: string[];
}
