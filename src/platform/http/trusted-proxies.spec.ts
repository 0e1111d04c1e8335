import { describe, expect, it } from '@jest/globals';
import { TrustedProxies } from './trusted-proxies.js';

const EDGE = '10.0.0.7';
const proxies = new TrustedProxies(['10.0.0.0/24', 'fd00::/8', '::ffff:192.168.0.0/112', 'fe80::5%eth0']);
const request = (forwardedFor: string | undefined, peer: string | undefined = EDGE, protocol?: string) => ({
  headers: {
    ...(forwardedFor !== undefined && { 'x-forwarded-for': forwardedFor }),
    ...(protocol !== undefined && { 'x-forwarded-proto': protocol }),
  },
  socket: { remoteAddress: peer },
});

describe('The client address behind a trusted proxy', () => {
  it.each<[string, string, string]>([
    ['plain', '203.0.113.7', '203.0.113.7'],
    ['with a port, as Azure Application Gateway writes it', '203.0.113.7:51234', '203.0.113.7'],
    ['with an empty port', '203.0.113.7:', '203.0.113.7'],
    ['IPv6', '2001:db8::7', '2001:db8::7'],
    ['IPv6 in brackets', '[2001:db8::7]', '2001:db8::7'],
    ['IPv6 in brackets with a port, as IIS writes it', '[2001:db8::7]:443', '2001:db8::7'],
    ['IPv6 in full with a port and no brackets', '2001:db8:0:0:0:0:0:7:443', '2001:db8:0:0:0:0:0:7'],
    ['IPv6 that ends like a port', '2001:db8::7:443', '2001:db8::7:443'],
    ['IPv6 with a zone', 'fe80::1%eth0', 'fe80::1'],
    ['IPv6 with a zone, brackets and a port', '[fe80::1%25eth0]:443', 'fe80::1'],
    ['IPv4 in IPv6 form', '::ffff:203.0.113.7', '203.0.113.7'],
    ['IPv4 in IPv6 form, capitals, brackets and a port', '[::FFFF:203.0.113.7]:443', '203.0.113.7'],
    ['IPv4 in IPv6 form, in hexadecimal', '::ffff:cb00:7107', '203.0.113.7'],
    ['IPv4 in IPv6 form, in full', '0:0:0:0:0:ffff:cb00:7107', '203.0.113.7'],
    ['quoted', '"203.0.113.7"', '203.0.113.7'],
    ['quoted, with brackets and a port', '"[2001:db8::7]:4711"', '2001:db8::7'],
    ['with spaces around it', ' \t203.0.113.7:1 ', '203.0.113.7'],
    ['before empty elements', '203.0.113.7, ,,', '203.0.113.7'],
    ['after a forged element', '198.51.100.1, 203.0.113.7:51234', '203.0.113.7'],
    ['after a forged element that is no address', 'unknown, 203.0.113.7', '203.0.113.7'],
    ['before trusted proxies with ports', '203.0.113.7:5, 10.0.0.8:80, [fd00::9]:80', '203.0.113.7'],
    ['before a trusted proxy in IPv6 form', '203.0.113.7, ::ffff:10.0.0.8', '203.0.113.7'],
    [
      'before a proxy of a network that is configured in IPv6 form',
      '203.0.113.7, 192.168.3.4',
      '203.0.113.7',
    ],
    ['when the client is a trusted proxy', '10.0.0.9', '10.0.0.9'],
  ])('The client address is read from an X-Forwarded-For element: %s', (_what, header, address) => {
    expect(proxies.clientOf(request(header))).toBe(address);
  });

  it.each([
    'unknown',
    '_hidden',
    '_SEVKISEK',
    'client.example.com',
    '203.0.113',
    '256.1.1.1',
    '[203.0.113.7',
    '::1::',
    '-',
    '"',
    'for=203.0.113.7',
  ])('The client address is that of the proxy that wrote %j, not of one before it', (element) => {
    expect(proxies.clientOf(request(element))).toBe(EDGE);
    expect(proxies.clientOf(request(`198.51.100.1, ${element}`))).toBe(EDGE);
    expect(proxies.clientOf(request(`198.51.100.1, ${element}, 10.0.0.9:80`))).toBe('10.0.0.9');
  });

  it('The client address is that of the peer if the peer is no trusted proxy or sends no header', () => {
    expect(proxies.clientOf(request('203.0.113.7', '198.51.100.1'))).toBe('198.51.100.1');
    expect(proxies.clientOf(request('203.0.113.7', '::ffff:198.51.100.1'))).toBe('198.51.100.1');
    expect(proxies.clientOf(request(undefined))).toBe(EDGE);
    expect(proxies.clientOf(request(''))).toBe(EDGE);
    expect(new TrustedProxies([]).clientOf(request('203.0.113.7'))).toBe(EDGE);
  });

  it.each(['::ffff:10.0.0.8', '::ffff:a00:8', 'fd12::1', '192.168.0.1', 'fe80::5%eth1'])(
    'The client address is accepted from the trusted peer %s',
    (peer) => expect(proxies.clientOf(request('203.0.113.7:1', peer))).toBe('203.0.113.7'),
  );

  it('The client address is unknown if the connection is closed', () => {
    expect(proxies.clientOf({ headers: { 'x-forwarded-for': '203.0.113.7' }, socket: {} })).toBeNull();
  });

  it('The client address is found in a header of maximum length', () => {
    expect(proxies.clientOf(request(','.repeat(16_000)))).toBe(EDGE);
    expect(proxies.clientOf(request('10.0.0.8,'.repeat(1_700)))).toBe('10.0.0.8');
  });
});

describe('Detection of plain HTTP', () => {
  it.each<[string, string | undefined, string, boolean]>([
    ['http is detected', undefined, 'http', true],
    ['HTTP in capitals is detected', undefined, 'HTTP', true],
    ['http with spaces is detected', undefined, ' http ', true],
    ['a WebSocket without TLS is detected', undefined, 'ws', true],
    ['https is not plain HTTP', undefined, 'https', false],
    ['HTTPS in capitals is not plain HTTP', undefined, 'HTTPS', false],
    ['a WebSocket over TLS is not plain HTTP', undefined, 'wss', false],
    ['an empty header is not plain HTTP', undefined, '', false],
    ['an unknown protocol is not plain HTTP', undefined, 'httpx', false],
    ['http to the first proxy counts, even with TLS after it', undefined, 'http, https', true],
    ['http after TLS to the first proxy does not count', undefined, 'https, http', false],
    [
      'http after TLS to the first trusted proxy does not count',
      '203.0.113.7, 10.0.0.8',
      'https, http',
      false,
    ],
    ['http to the first trusted proxy counts', '203.0.113.7, 10.0.0.8', 'http, https', true],
    [
      'http to a trusted proxy counts, even if the client forges https',
      '198.51.100.1, 203.0.113.7',
      'https, http',
      true,
    ],
    ['http that only the client claims does not count', '198.51.100.1, 203.0.113.7', 'http, https', false],
    ['http to a proxy that names no client counts', 'unknown', 'http', true],
    ['http counts if only the addresses were appended to', '198.51.100.1, 203.0.113.7', 'http', true],
  ])('X-Forwarded-Proto and plain HTTP: %s', (_what, forwardedFor, protocol, isPlain) => {
    expect(proxies.isPlainHttp(request(forwardedFor, EDGE, protocol))).toBe(isPlain);
  });

  it('X-Forwarded-Proto from an untrusted peer is ignored', () => {
    expect(proxies.isPlainHttp(request(undefined, '198.51.100.1', 'http'))).toBe(false);
    expect(new TrustedProxies([]).isPlainHttp(request(undefined, EDGE, 'http'))).toBe(false);
  });
});
