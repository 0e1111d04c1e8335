import { Injectable } from '@nestjs/common';
import { homeOf } from '../../../platform/settings/relying-party.js';
import { Settings } from '../../../platform/settings/settings.js';
import { PRODUCT } from '../../../product.js';
import { mayHave, SCOPES, type Scope } from '../../../scopes.js';
import type { Role } from '../../../roles.js';
import { oauthSettings } from '../settings.js';

/** The scopes of OpenID Connect that the provider knows, in words for people. */
export const OPENID_SCOPES: Readonly<Record<string, string>> = {
  openid: 'Recognise you when you come back',
  email: 'Read your e-mail address',
  profile: 'Read your name',
  offline_access: 'Keep this access after you log out',
};

/** A service for which apps get tokens. */
export interface Resource {
  /** Its identifier (RFC 8707), the audience of its tokens. */
  id: string;
  name: string;
  /** Its scopes, each with its meaning in words for people. */
  scopes: ReadonlyMap<string, string>;
}

/** The services for which apps get tokens: this one, and those of `OAUTH_RESOURCES`. */
@Injectable()
export class OAuthResources {
  /** The issuer of tokens for apps. */
  readonly issuer: string;
  /** The identifier of this service. */
  readonly home: string;
  private readonly others: ReadonlyMap<string, Resource>;

  constructor(settings: Settings) {
    this.home = homeOf(settings).href.replace(/\/+$/, '');
    this.issuer = `${this.home}/oauth`;
    this.others = new Map(
      Object.entries(oauthSettings(settings).oauthResources).map(([id, { name, scopes }]) => [
        canonical(id)!,
        { id, name, scopes: new Map(Object.entries(scopes)) },
      ]),
    );
  }

  /** The service with this identifier, however its URL is written; null for an unknown one. */
  find(id: string): Resource | null {
    const name = canonical(id);
    if (name === canonical(this.home)) return this.own();
    return (name !== null && this.others.get(name)) || null;
  }

  /** Which of these scopes users with these roles may grant. */
  grantable({ id, scopes }: Resource, wanted: Iterable<string>, roles: readonly Role[]): string[] {
    const known = [...wanted].filter((scope) => scopes.has(scope));
    return id === this.home ? known.filter((scope) => mayHave(scope as Scope, roles)) : known;
  }

  /** A function, because features define their scopes after this module has loaded. */
  private own(): Resource {
    const scopes = SCOPES.names().map((name) => [name, SCOPES.get(name).description] as const);
    return { id: this.home, name: PRODUCT.name, scopes: new Map(scopes) };
  }
}

/** `https://api.example` and `HTTPS://api.example/` are one service. */
function canonical(url: string): string | null {
  return URL.canParse(url) ? new URL(url).href.replace(/\/$/, '') : null;
}
