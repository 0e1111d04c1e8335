import { describe, expect, it } from '@jest/globals';
import { networkOf } from './client-network.js';

describe('the network of a client', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:0001:2::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    ['1.2.3.4:80', '1.2.3.4'],
    ['[2001:db8:1:2::7]:443', '2001:db8:1:2::/64'],
  ])('the address %s counts as the network %s', (address, network) =>
    expect(networkOf(address)).toBe(network),
  );

  it('all addresses of a /64 count as one client, and those of the next /64 do not', () => {
    const of = (suffix: string) => networkOf(`2001:db8:0:1:${suffix}`);
    expect(new Set([of(':'), of(':1'), of('ffff:ffff:ffff:ffff'), of('1::')]).size).toBe(1);
    expect(of(':1')).not.toBe(networkOf('2001:db8:0:2::1'));
  });

  it.each([null, '', 'unknown', '1.2.3', '999.1.1.1', 'a b'])(
    'a text that is not an address (%j) counts as the unknown network',
    (address) => expect(networkOf(address)).toBe('unknown'),
  );
});
