import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalEmail, canonicalEmailPrefix } from './email-address.js';

const label = (length: number) => 'd'.repeat(length);
/** A domain of so many octets, in labels of at most 63. */
function domainOf(length: number): string {
  const labels: string[] = [];
  for (let left = length - '.example'.length; left > 0; left -= 64) labels.push(label(Math.min(left, 63)));
  return `${labels.join('.')}.example`;
}

describe('the canonical spelling of an e-mail address', () => {
  it.each([
    ['a lower-case address', 'anna@example.com', 'anna@example.com'],
    ['upper case on both sides', 'ANNA@EXAMPLE.COM', 'anna@example.com'],
    ['all characters of RFC 5322 atext', "!#$%&'*+/=?^_`{|}~-x@b.co", "!#$%&'*+/=?^_`{|}~-x@b.co"],
    ['dots and a tag, which only the mail host interprets', 'an.na+shop@b.co', 'an.na+shop@b.co'],
    ['a U-label (RFC 5891)', 'anna@bücher.example', 'anna@xn--bcher-kva.example'],
    ['an A-label', 'anna@xn--bcher-kva.example', 'anna@xn--bcher-kva.example'],
    ['an A-label in upper case', 'anna@XN--BCHER-KVA.example', 'anna@xn--bcher-kva.example'],
    ['a U-label in upper case', 'anna@BÜCHER.example', 'anna@xn--bcher-kva.example'],
    ['a U-label that is decomposed (NFD)', 'anna@bu\u0308cher.example', 'anna@xn--bcher-kva.example'],
    ['a sign (UTS 46 4)', 'anna@\u2260.example', 'anna@xn--1ch.example'],
    [
      'the same sign, decomposed to an ASCII character and a mark',
      'anna@=\u0338.example',
      'anna@xn--1ch.example',
    ],
    ['ß, which IDNA 2008 keeps', 'anna@faß.de', 'anna@xn--fa-hia.de'],
    ['ideographic full stops (UTS 46 2.3)', 'anna@b\u3002co', 'anna@b.co'],
    ['full-width full stops', 'anna@b\uff0eco', 'anna@b.co'],
    ['half-width full stops', 'anna@b\uff61co', 'anna@b.co'],
    ['full-width letters', 'anna@\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com', 'anna@example.com'],
    ['a soft hyphen, which UTS 46 ignores', 'anna@exam\u00adple.com', 'anna@example.com'],
    ['a zero-width space, which UTS 46 ignores', 'anna@exam\u200bple.com', 'anna@example.com'],
    ['a domain in another script', 'anna@日本語。jp', 'anna@xn--wgv71a119e.jp'],
    ['a local part of 64 octets', `${'l'.repeat(64)}@b.co`, `${'l'.repeat(64)}@b.co`],
    ['a label of 63 octets', `anna@${label(63)}.co`, `anna@${label(63)}.co`],
    ['254 octets', `a@${domainOf(252)}`, `a@${domainOf(252)}`],
  ])('an e-mail address has a canonical spelling: %s', (_what, text, canonical) => {
    expect(canonicalEmail(text)).toBe(canonical);
  });

  it.each([
    ['angle brackets', '<a@b.co>'],
    ['a closing angle bracket only', 'a@b.co>'],
    ['an opening angle bracket only', '<a@b.co'],
    ['a display name', 'Anna <a@b.co>'],
    ['a scheme', 'mailto:a@b.co'],
    ['a quoted local part (RFC 5321 4.1.2)', '"a"@b.co'],
    ['a quoted local part with an @', '"a@b.co"@c.co'],
    ['an escaped character', 'a\\b@b.co'],
    ['a comment (RFC 5322 3.2.2)', 'a(me)@b.co'],
    ['a comment behind the domain', 'a@b.co(me)'],
    ['a source route (RFC 5321 appendix C)', '@c.co:a@b.co'],
    ['two addresses with a comma', 'a@b.co,c@d.co'],
    ['two addresses with a semicolon', 'a@b.co;c@d.co'],
    ['two addresses with a space', 'a@b.co c@d.co'],
    ['two @ signs', 'a@b@c.co'],
    ['a full-width @ sign', 'a\uff20b.co'],
    ['an IPv4 literal', 'a@[192.0.2.1]'],
    ['an IPv6 literal', 'a@[IPv6:2001:db8::1]'],
    ['an IPv4 address', 'a@192.0.2.1'],
    ['an IPv4 address in hexadecimal', 'a@0xc0.0x0.0x2.0x1'],
    ['an IPv4 address in two numbers', 'a@192.513'],
    ['full-width digits of an IPv4 address', 'a@\uff11\uff12\uff17.0.0.1'],
    ['a last label that is a number', 'a@b.123'],
    ['a trailing dot', 'a@b.co.'],
    ['a trailing ideographic dot', 'a@b.co\u3002'],
    ['a leading dot of the domain', 'a@.b.co'],
    ['an empty label', 'a@b..co'],
    ['a leading dot of the local part', '.a@b.co'],
    ['a trailing dot of the local part', 'a.@b.co'],
    ['two dots in the local part', 'a..b@b.co'],
    ['no local part', '@b.co'],
    ['no domain', 'a@'],
    ['one label', 'a@localhost'],
    ['a label that begins with a hyphen', 'a@-b.co'],
    ['a label that ends with a hyphen', 'a@b-.co'],
    ['an underscore in the domain', 'a@b_c.co'],
    ['a port', 'a@b.co:25'],
    ['a path', 'a@b.co/c'],
    ['a query', 'a@b.co?c'],
    ['a fragment', 'a@b.co#c'],
    ['an encoded dot', 'a@b%2eco'],
    ['a full-width percent sign', 'a@b\uff052e.co'],
    ['a backslash', 'a@b.co\\c'],
    ['a space before', ' a@b.co'],
    ['a space behind', 'a@b.co '],
    ['a space inside the domain', 'a@b. co'],
    ['a no-break space', 'a@b\u00a0c.co'],
    ['a tab, which a URL drops', 'a@b\t.co'],
    ['a line end, which a URL drops', 'a@b\n.co'],
    ['a header behind CRLF', 'a@b.co\r\nBcc: c@d.co'],
    ['NUL', 'a\0@b.co'],
    ['a local part beyond ASCII (RFC 6531)', 'änna@b.co'],
    ['a local part beyond ASCII, decomposed', 'a\u0308nna@b.co'],
    ['the Kelvin sign, which is a k in lower case', '\u212aai@b.co'],
    ['full-width letters in the local part', '\uff41nna@b.co'],
    ['a zero-width space in the local part', 'an\u200bna@b.co'],
    ['a bidirectional override in the local part', 'an\u202ena@b.co'],
    ['a bidirectional override in the domain', 'a@\u202eb.co'],
    ['a joiner where no script joins (RFC 5892 A.2)', 'a@b\u200dc.co'],
    ['half a surrogate pair', 'a@b\ud800.co'],
    ['an A-label of a name that is ASCII already', 'a@xn--example-.com'],
    ['an A-label with a second hyphen, another spelling of the same name', 'a@xn---57k.co'],
    ['an A-label that is not Punycode', 'a@xn--a.de'],
    ['an A-label of an upper-case name', 'a@xn--bcher-9la.example'],
    ['a local part of 65 octets', `${'l'.repeat(65)}@b.co`],
    ['a label of 64 octets', `a@${label(64)}.co`],
    ['a label of 64 octets as an A-label', `a@${'ü'.repeat(60)}${'abc'.repeat(15)}.co`],
    ['255 octets', `a@${domainOf(253)}`],
    ['255 octets as A-labels, and fewer as typed', `${'l'.repeat(60)}@ü${label(40)}.${domainOf(145)}`],
  ])('a text is not an e-mail address: %s', (_what, text) => {
    expect(canonicalEmail(text)).toBeNull();
  });

  it('a canonical address is ASCII of at most 254 octets, and its own canonical spelling', () => {
    const part = fc.string({ unit: 'grapheme', maxLength: 12 });
    const texts = fc.oneof(
      fc.emailAddress(),
      fc.tuple(fc.stringMatching(/^[a-z.]{1,5}$/), part, part).map(([local, a, b]) => `${local}@${a}.${b}`),
      fc.tuple(part, fc.webUrl({ withFragments: true })).map(([local, url]) => `${local}@${url}`),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const canonical = canonicalEmail(text);
        fc.pre(canonical !== null);
        expect(canonical).toMatch(/^[!-~]{3,254}$/);
        expect(canonicalEmail(canonical)).toBe(canonical);
        expect(canonicalEmail(text.normalize('NFD'))).toBe(canonical);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the search for addresses by their beginning', () => {
  it.each([
    ['an', 'an'],
    ['ANNA@Exam', 'anna@exam'],
    ['anna@Bücher.example', 'anna@xn--bcher-kva.example'],
    ['anna@bücher', 'anna@xn--bcher-kva'],
    ['anna@b\u3002co', 'anna@b.co'],
    ['anna@bü/..', 'anna@bü/..'],
    ['100%_', '100%_'],
  ])('a search for %s looks for canonical addresses that begin with %s', (text, prefix) => {
    expect(canonicalEmailPrefix(text)).toBe(prefix);
  });
});
