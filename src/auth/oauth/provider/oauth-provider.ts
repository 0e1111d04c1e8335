import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { KoaContextWithOIDC, Provider as OidcProvider } from 'oidc-provider';
import { Problem } from '../../../platform/api/problem.js';
import type { Keys } from '../../../platform/keys/key-format.js';
import { KeyStore } from '../../../platform/keys/key-store.js';
import { LOGGER, type Logger } from '../../../platform/logging/logger.js';
import { isDatabaseUnavailable } from '../../../platform/persistence/database-problem.js';
import { Clock } from '../../../platform/runtime/clock.js';
import { BootError } from '../../../platform/settings/boot-error.js';
import { Settings } from '../../../platform/settings/settings.js';
import { KeyRing } from '../../tokens/key-ring.js';
import { oauthSettings } from '../settings.js';
import { ProviderConfiguration, type Library } from './provider-configuration.js';
import { OAuthResources } from './resources.js';

/**
 * The OAuth 2.1 and OpenID Connect provider: the certified library `oidc-provider`, with our keys, our database and our
 * grants. It is loaded only if `OAUTH_PROVIDER=on`.
 */
@Injectable()
export class OAuthProvider implements OnModuleInit {
  readonly isOn: boolean;
  private oidc: Library | null = null;
  /** The provider, and the state of the keys for which it was made. */
  private made: { provider: OidcProvider; keys: Keys; kid: string } | null = null;

  constructor(
    private readonly configuration: ProviderConfiguration,
    private readonly resources: OAuthResources,
    private readonly keyStore: KeyStore,
    private readonly keyRing: KeyRing,
    private readonly clock: Clock,
    private readonly settings: Settings,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.isOn = oauthSettings(settings).oauthProvider === 'on';
  }

  async onModuleInit(): Promise<void> {
    if (!this.isOn) return;
    if (this.settings.nodeEnv === 'production' && !this.settings.appUrl)
      throw new BootError('APP_URL is not set; it is the beginning of the issuer of OAUTH_PROVIDER');
    this.oidc = await import('oidc-provider');
    for (const { client_id } of oauthSettings(this.settings).oauthClients) {
      await this.current()
        .Client.find(client_id)
        .catch((error: { error_description?: string; message: string }) => {
          throw new BootError(
            `OAUTH_CLIENTS has a wrong entry for \`${client_id}\`: ${error.error_description ?? error.message}`,
          );
        });
    }
  }

  /**
   * The provider with the keys of now.
   *
   * @throws Problem `resource.not_found` if `OAUTH_PROVIDER` is off
   */
  current(): OidcProvider {
    if (!this.oidc) throw new Problem('resource.not_found');
    const { kid } = this.keyRing.signer(this.clock.now());
    const keys = this.keyStore.current;
    if (this.made?.keys !== keys || this.made.kid !== kid)
      this.made = { keys, kid, provider: this.make(this.oidc, keys, kid) };
    return this.made.provider;
  }

  private make(library: Library, keys: Keys, kid: string): OidcProvider {
    const provider = new library.Provider(this.resources.issuer, this.configuration.of(library, keys, kid));
    provider.proxy = true; // `OAuthRoutes` says by which URL this service is reached
    provider.on('server_error', (ctx: KoaContextWithOIDC, error: Error) => {
      if (isUnavailable(error)) tellUnavailable(ctx);
      else this.logger.error({ err: error }, 'the OAuth provider failed');
    });
    return provider;
  }
}

function isUnavailable(error: unknown): boolean {
  return (error instanceof Problem && error.code === 'auth.unavailable') || isDatabaseUnavailable(error);
}

/** As everywhere, an outage is a 503: a client must not conclude that its tokens are void. */
function tellUnavailable(ctx: KoaContextWithOIDC): void {
  ctx.status = 503;
  ctx.set('retry-after', '1');
  ctx.body = { error: 'temporarily_unavailable', error_description: 'Send the request again.' };
}
