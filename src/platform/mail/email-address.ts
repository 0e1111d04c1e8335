import { domainToASCII, domainToUnicode } from 'node:url';

/** The longest address that fits an SMTP path (RFC 5321 4.5.3.1.3), in octets. Its domain counts as A-labels. */
export const MAX_EMAIL_LENGTH = 254;
/** The longest local part (RFC 5321 4.5.3.1.1), in octets. */
const MAX_LOCAL_LENGTH = 64;
/** `dot-atom-text` of RFC 5322 3.2.3. */
const LOCAL = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
/**
 * Two or more labels of letters, digits and inner hyphens (RFC 1123 2.1). The last label is not a number, so an IPv4
 * address does not match.
 */
const DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/**
 * `domainToASCII` reads its input as a URL: it decodes `%2e`, stops at `/`, and drops tabs. A domain name contains
 * none of these characters.
 */
const NOT_IN_A_DOMAIN = /[\0-,/:-@[-`{-\x7f]/;

/** The grammar in one sentence, for API clients. */
export const EMAIL_RULE =
  "must be an e-mail address: letters a-z, digits and !#$%&'*+/=?^_`{|}~- in parts joined by dots, then @ and a domain name";

/**
 * The canonical spelling of an address. The server stores, looks up, throttles and mails it in this form. Upper case
 * becomes lower case, and the domain becomes A-labels (UTS 46): `Anna@Bücher.example` becomes
 * `anna@xn--bcher-kva.example`.
 *
 * The grammar is the dot-atom form of RFC 5321. It excludes quoted local parts, comments, address literals, display
 * names and lists, because each would be a second spelling of a mailbox. It also excludes local parts outside ASCII,
 * because only servers with SMTPUTF8 accept them.
 *
 * @returns null when the text is not an address
 */
export function canonicalEmail(text: string): string | null {
  const at = text.indexOf('@');
  const local = text.slice(0, Math.max(at, 0));
  const domain = canonicalDomain(text.slice(at + 1));
  // Before the conversion to lower case, which would turn the Kelvin sign `K` into an ASCII letter.
  if (domain === null || local.length > MAX_LOCAL_LENGTH || /[^\0-\x7f]/.test(local)) return null;
  const canonical = `${local.toLowerCase()}@${domain}`;
  return LOCAL.test(local.toLowerCase()) && canonical.length <= MAX_EMAIL_LENGTH ? canonical : null;
}

function canonicalDomain(text: string): string | null {
  // UTS 46 composes first: `=` with a combining solidus is `≠`.
  const composed = text.normalize('NFC');
  if (NOT_IN_A_DOMAIN.test(composed)) return null;
  const domain = domainToASCII(composed);
  // An A-label is valid only if its U-label converts back to it. `xn--example-` reads as `example`, which is another
  // name.
  return DOMAIN.test(domain) && domainToASCII(domainToUnicode(domain)) === domain ? domain : null;
}

/**
 * Converts the beginning of an address, in any spelling, to the beginning of canonical addresses. For the search by
 * an admin.
 */
export function canonicalEmailPrefix(text: string): string {
  const [, local, domain] = /^([^@]*@)(.*[^\0-\x7f].*)$/s.exec(text) ?? [];
  const composed = domain?.normalize('NFC');
  const name = composed && !NOT_IN_A_DOMAIN.test(composed) && domainToASCII(composed);
  return (name ? local + name : text).toLowerCase();
}
