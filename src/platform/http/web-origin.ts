/** Exactly `scheme "://" host [ ":" port ]` (RFC 6454 6.2): no path, no list, not `null`. */
const SERIALIZED = /^[a-z][a-z\d+.-]*:\/\/[^\s/?#@\\,]+$/i;

/**
 * The origin of a web page in the spelling of browsers (WHATWG URL): lower case, no default port, one spelling of an
 * IPv6 address. Schemes of web views (`capacitor://localhost`, `app://.`) have origins too, although the URL standard
 * gives them none.
 * @returns null if the text is no origin, and for `null` and `file:`, which every sandbox and every local file share
 */
export function webOriginOf(text: string): string | null {
  if (!SERIALIZED.test(text) || !URL.canParse(text)) return null;
  const { origin, protocol, host } = new URL(text);
  if (protocol === 'file:' || host === '') return null;
  return origin === 'null' ? `${protocol}//${host.toLowerCase()}` : origin;
}
