import { domainToASCII, domainToUnicode } from 'node:url';

/** The largest address that fits an SMTP path (RFC 5321 4.5.3.1.3), in octets and with its domain in A-labels. */
export const MAX_EMAIL_LENGTH = 254;
/** RFC 5321 4.5.3.1.1, in octets. */
const MAX_LOCAL_LENGTH = 64;
/** `dot-atom-text` of RFC 5322 3.2.3. */
const LOCAL = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
/** Two labels or more, each of letters, digits and inner hyphens (RFC 1123 2.1); the last one is no number, so this is no IPv4 address. */
const DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** `domainToASCII` reads a URL: it decodes `%2e`, stops at `/`, and drops tabs. None of them is in a domain name. */
const NOT_IN_A_DOMAIN = /[\0-,/:-@[-`{-\x7f]/;

/** For an API client: the grammar in one sentence. */
export const EMAIL_RULE =
  "must be an e-mail address: letters a-z, digits and !#$%&'*+/=?^_`{|}~- in parts joined by dots, then @ and a domain name";

/**
 * The one spelling of an address, under which it is stored, looked up, throttled and mailed to. Upper case becomes lower case, and
 * the domain becomes A-labels (UTS 46): `Anna@Bücher.example` is `anna@xn--bcher-kva.example`.
 *
 * The grammar is the dot-atom form of RFC 5321. Quoted local parts, comments, address literals, display names and lists are refused:
 * each would be a second spelling of a mailbox. Local parts outside ASCII are refused, because only servers with SMTPUTF8 take them.
 * @returns null when the text is not an address
 */
export function canonicalEmail(text: string): string | null {
  const at = text.indexOf('@');
  const local = text.slice(0, Math.max(at, 0));
  const domain = canonicalDomain(text.slice(at + 1));
  // Before it is in lower case: `K`, the Kelvin sign, would become an ASCII letter.
  if (domain === null || local.length > MAX_LOCAL_LENGTH || /[^\0-\x7f]/.test(local)) return null;
  const canonical = `${local.toLowerCase()}@${domain}`;
  return LOCAL.test(local.toLowerCase()) && canonical.length <= MAX_EMAIL_LENGTH ? canonical : null;
}

function canonicalDomain(text: string): string | null {
  if (NOT_IN_A_DOMAIN.test(text)) return null;
  const domain = domainToASCII(text);
  // An A-label counts only if it is the spelling of its own U-label: `xn--example-` reads as `example`, and is another name.
  return DOMAIN.test(domain) && domainToASCII(domainToUnicode(domain)) === domain ? domain : null;
}

/** How canonical addresses begin that an admin looks for by the beginning of any spelling. */
export function canonicalEmailPrefix(text: string): string {
  const [, local, domain] = /^([^@]*@)(.*[^\0-\x7f].*)$/s.exec(text) ?? [];
  const name = domain && !NOT_IN_A_DOMAIN.test(domain) && domainToASCII(domain);
  return (name ? local + name : text).toLowerCase();
}
