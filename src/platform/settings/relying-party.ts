import type { Settings } from './settings.js';

/** The domain for which passkeys are made, and the pages that may use them (WebAuthn 5.1.2, 13.4.9). */
export interface RelyingParty {
  /** A domain. Passkeys are bound to it permanently: changing it makes all of them useless. */
  id: string;
  /** The name that the browser shows to the user. */
  name: string;
  origins: string[];
}

type Needed = Pick<Settings, 'appUrl' | 'mailFrom' | 'passkeyRpId' | 'port' | 'trustedOrigins'>;

/** Built from the settings alone: the host of a request does not prove where the request came from. */
export function relyingPartyOf(settings: Needed): RelyingParty {
  const home = homeOf(settings);
  const id = settings.passkeyRpId ?? home.hostname;
  const origins = [...new Set([home.origin, ...settings.trustedOrigins])];
  return {
    id,
    name: nameIn(settings.mailFrom) ?? id,
    origins: origins.filter((origin) => /^https?:/.test(origin) && isWithin(new URL(origin).hostname, id)),
  };
}

/** The address of the application for users. */
export function homeOf({ appUrl, port }: Pick<Settings, 'appUrl' | 'port'>): URL {
  return new URL(appUrl ?? `http://localhost:${port}`);
}

/**
 * Whether pages of a host may use the passkeys of a domain (WebAuthn: a registrable domain suffix of, or equal to).
 */
export function isWithin(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`);
}

/** `Your product` of `Your product <no-reply@example.com>` */
function nameIn(sender: string): string | undefined {
  return /^([^<]*\S) *</.exec(sender)?.[1];
}
