import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RequestContext } from '../../platform/http/request.js';
import { homeOf } from '../../platform/settings/relying-party.js';
import { Settings } from '../../platform/settings/settings.js';
import type { SessionSnapshot } from '../../sessions/check/session-snapshot.js';
import type { Credentials } from '../guards/credentials.js';
import { TokenResponder } from '../login/token-responder.js';
import { IdentitiesService } from './identities.service.js';
import { SocialClients } from './social-clients.js';
import { SocialLoginService } from './social-login.service.js';
import { SocialState } from './social-state.js';

/** The callback of a provider, as a browser has brought it. */
interface Callback {
  credentials: Credentials;
  context: RequestContext;
  request: FastifyRequest;
  reply: FastifyReply;
}

/** Leads the browser to the provider and back. The result is in the fragment, which browsers send to no server. */
@Injectable()
export class SocialFlow {
  constructor(
    private readonly clients: SocialClients,
    private readonly state: SocialState,
    private readonly logins: SocialLoginService,
    private readonly identities: IdentitiesService,
    private readonly tokenResponder: TokenResponder,
    private readonly settings: Settings,
  ) {}

  /**
   * @param session of a user who links the outside account
   * @returns the address of the provider
   */
  async begin(
    provider: string,
    returnTo: string,
    reply: FastifyReply,
    session?: Pick<SessionSnapshot, 'id' | 'userId'>,
  ): Promise<string> {
    const { url, ...secrets } = await this.clients.begin(provider);
    const link = session && {
      userId: session.userId,
      sessionId: session.id,
      requestedAt: await this.identities.requestLink(session),
    };
    this.state.keep(reply, { provider, returnTo, ...secrets, ...(link && { link }) });
    return url;
  }

  /** @returns the address of the application to which the browser goes on */
  async complete(provider: string, { credentials, context, request, reply }: Callback): Promise<string> {
    const begun = this.state.take(request, reply);
    if (begun?.provider !== provider) return this.page('/', { social_error: 'expired' });
    const query = request.raw.url!.split('?')[1] ?? '';
    const { returnTo } = begun;
    if (new URLSearchParams(query).get('error') === 'access_denied')
      return this.page(returnTo, { social_error: 'access_denied' });
    const profile = await this.clients.complete(begun, query);
    if (!profile) return this.page(returnTo, { social_error: 'failed' });
    if (begun.link) {
      const result = await this.identities.link(profile, provider, begun.link, context);
      return this.page(returnTo, result === 'linked' ? { social: 'linked' } : { social_error: result });
    }
    const outcome = await this.logins.login(profile, provider, credentials, context);
    if ('refusal' in outcome) return this.page(returnTo, { social_error: outcome.refusal });
    if ('challengeToken' in outcome) {
      const { challengeToken, methods } = outcome;
      return this.page(returnTo, { social: 'mfa_required', challengeToken, methods: methods.join(',') });
    }
    this.tokenResponder.send(reply, outcome.grant);
    return this.page(returnTo, { social: 'signed_in' });
  }

  private page(path: string, result: Record<string, string>): string {
    const url = new URL(path, homeOf(this.settings));
    url.hash = new URLSearchParams(result).toString();
    return url.href;
  }
}
