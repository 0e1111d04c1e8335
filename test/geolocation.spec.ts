import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { GeoLocation } from '../src/platform/http/request.js';
import { GeoLocator } from '../src/platform/geolocation/geo-locator.js';
import { writeGeoDatabase } from './support/geo-database.js';

/** Real: the database file and its reader. */

const logger = pino({ level: 'silent' });
const VIENNA = { country: { iso_code: 'AT' }, location: { latitude: 48.2, longitude: 16.37 } };

let folder: string;
let file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'drawbridge-places-'));
  file = join(folder, 'cities.mmdb');
  await writeGeoDatabase(file, [
    ['192.0.2.0/24', VIENNA],
    ['198.51.100.0/24', { country: { iso_code: 'DE' } }],
    ['203.0.113.0/24', { country_code: 'IT' }],
    ['100.64.0.0/24', { country: { iso_code: 'EU' }, location: { latitude: 47, longitude: 8 } }],
    ['100.64.1.0/24', { country_code: 'A1' }],
  ]);
});
afterAll(() => rm(folder, { recursive: true }));

interface Asked {
  ip?: string | null;
  peer?: string;
  headers?: Record<string, string>;
}
const asked = ({ ip = '10.1.1.1', peer = '10.0.0.7', headers = {} }: Asked) => ({
  clientAddress: ip,
  headers,
  socket: { remoteAddress: peer },
});
const places = ({
  header = 'x-country' as string | undefined,
  database = undefined as string | undefined,
} = {}) =>
  GeoLocator.create(
    {
      countryHeader: header as string,
      geoipDatabase: database as string,
      trustedProxies: ['10.0.0.0/24', 'fd00::7'],
    },
    logger,
  );

describe('the country header', () => {
  it.each<[string, Asked, GeoLocation | null]>([
    ['is accepted from a trusted proxy', { headers: { 'x-country': 'AT' } }, { country: 'AT' }],
    ['is accepted in small letters', { headers: { 'x-country': 'at' } }, { country: 'AT' }],
    [
      'is accepted from a trusted IPv4 proxy in IPv6 form',
      { peer: '::ffff:10.0.0.7', headers: { 'x-country': 'AT' } },
      { country: 'AT' },
    ],
    [
      'is accepted from a trusted IPv6 proxy',
      { peer: 'fd00::7', headers: { 'x-country': 'AT' } },
      { country: 'AT' },
    ],
    ['is no country for Tor', { headers: { 'x-country': 'T1' } }, null],
    ['is no country with an unassigned code', { headers: { 'x-country': 'QM' } }, null],
    ['is ignored from any other peer', { peer: '10.0.1.7', headers: { 'x-country': 'AT' } }, null],
    [
      'is ignored from a client that claims to have come through a proxy',
      { ip: '10.0.0.7', peer: '192.0.2.9', headers: { 'x-country': 'AT' } },
      null,
    ],
    ['is ignored under another name', { headers: { 'cf-ipcountry': 'AT' } }, null],
    ['is no country with XX', { headers: { 'x-country': 'XX' } }, null],
    ['is no country when it was sent twice', { headers: { 'x-country': 'AT, DE' } }, null],
    ['is no country when it is a name', { headers: { 'x-country': 'Austria' } }, null],
    ['is no country when it is missing', {}, null],
  ])('%s', async (_, request, place) => {
    expect((await places()).locate(asked(request))).toEqual(place);
  });
});

describe('the database of addresses', () => {
  it.each<[string, string | null, GeoLocation | null]>([
    ['a city', '192.0.2.77', { country: 'AT', at: { latitude: 48.2, longitude: 16.37 } }],
    ['a country', '198.51.100.1', { country: 'DE' }],
    ['a country as free databases write it', '203.0.113.1', { country: 'IT' }],
    ['no location for a region that is no country', '100.64.0.1', null],
    ['no location for an anonymous proxy', '100.64.1.1', null],
    ['an address it does not have', '10.9.9.9', null],
    ['an IPv6 address it does not have', '2001:db8::1', null],
    ['a client whose connection is gone', null, null],
  ])('knows %s', async (_, ip, place) => {
    expect((await places({ database: file })).locate(asked({ ip }))).toEqual(place);
  });

  it('is queried where the header has no country', async () => {
    const both = await places({ database: file });
    const ip = '198.51.100.1';
    expect(both.locate(asked({ ip, headers: { 'x-country': 'FR' } }))).toEqual({ country: 'FR' });
    expect(both.locate(asked({ ip, headers: { 'x-country': 'XX' } }))).toEqual({ country: 'DE' });
    // The exit of an anonymous network is not where the user is, and it changes with each circuit.
    for (const hidden of ['T1', 'A1', 'A2'])
      expect(both.locate(asked({ ip, headers: { 'x-country': hidden } }))).toBeNull();
  });

  it('is reloaded when it was replaced; an unreadable file leaves the previous data', async () => {
    const path = join(folder, 'replaced.mmdb');
    await writeGeoDatabase(path, [['192.0.2.0/24', VIENNA]]);
    const service = await places({ database: path });
    await writeFile(path, 'half a file');
    await expect(service.update()).rejects.toThrow('Unknown type');
    expect(service.locate(asked({ ip: '192.0.2.1' }))?.country).toBe('AT');
    await writeGeoDatabase(path, [['192.0.2.0/24', { country: { iso_code: 'FR' } }]]);
    await utimes(path, new Date(), new Date(Date.now() + 5_000));
    await service.update();
    expect(service.locate(asked({ ip: '192.0.2.1' }))).toEqual({ country: 'FR' });
  });

  it.each([
    ['is not there', 'missing.mmdb'],
    ['is another kind of file', 'other.mmdb'],
  ])('that %s stops the boot, with the name of the variable', async (_, name) => {
    await writeFile(join(folder, 'other.mmdb'), 'not a database');
    await expect(places({ database: join(folder, name) })).rejects.toThrow(
      /^GEOIP_DATABASE ".*" cannot be read: .*; allowed: a file in MaxMind's format \(\.mmdb\)$/,
    );
  });
});
