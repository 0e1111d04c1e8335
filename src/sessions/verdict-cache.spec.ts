import { describe, expect, it } from '@jest/globals';
import { MemoryCache } from '../cache/memory-cache.js';
import { SystemClock } from '../common/clock.js';
import { loadSettings } from '../config/load-settings.js';
import type { SessionSnapshot } from './session-snapshot.js';
import { VerdictCache } from './verdict-cache.js';
import { packLive } from './verdict.js';

const ID = '01a1fb9c-777e-76a0-9173-796b28a79329';
const clock = new SystemClock();
const settings = loadSettings({ NODE_ENV: 'test' });

describe('whoever can write to the cache', () => {
  it.each([
    ['believed for as long as a lease lasts', settings.cacheLease, 'live'],
    ['not believed for longer: S2 is not for sale', settings.cacheLease + 60_000, undefined],
    ['not believed after its time', -1, undefined],
  ])('a verdict is %s', async (_, claims, state) => {
    const cache = new MemoryCache(clock);
    const verdict = packLive(snapshot(), clock.now() + claims);
    await cache.setMany([[`session:${ID}`, verdict]], 3_600_000);
    const known = await new VerdictCache(cache, clock, settings).read([ID]);
    expect(known.get(ID)?.state).toBe(state);
  });
});

function snapshot(): SessionSnapshot {
  const now = clock.now();
  return {
    id: ID,
    userId: ID,
    roles: ['user'],
    transport: 'cookie',
    ip: null,
    country: null,
    originCountry: null,
    location: null,
    deviations: [],
    createdAt: now,
    lastSeenAt: now,
    authenticatedAt: now,
    secondFactorAt: null,
    edition: 0,
    undelivered: false,
    deniedTokens: [],
    device: { id: ID, name: 'a device', browser: null, os: null, firstSeenAt: now },
    ended: null,
  };
}

describe('a verdict that goes through the cache', () => {
  it.each<[string, Partial<SessionSnapshot>]>([
    ['nothing known of where it is', {}],
    ['a second factor', { secondFactorAt: clock.now() + 90_000_000 }],
    ['new keys', { edition: 65_535 }],
    ['new keys that were not shown yet', { edition: 1, undelivered: true }],
    ['a country', { country: 'AT', originCountry: 'AT' }],
    [
      'a country that it has moved to',
      { country: 'DE', originCountry: 'AT', deviations: ['?country:DE', 'travel'] },
    ],
    ['a country that it has left for nobody knows where', { country: null, originCountry: 'AT' }],
    ['a country that was not known when it began', { country: 'DE', originCountry: null }],
    [
      'a city',
      {
        country: 'NZ',
        originCountry: 'NZ',
        location: { latitude: -36.8, longitude: 174.8, at: clock.now() + 2_000_000_000 },
      },
    ],
    [
      'a device that is called what it is',
      { device: { ...snapshot().device, name: 'Firefox on Linux', browser: 'Firefox', os: 'Linux' } },
    ],
    [
      'a device that was there before',
      { device: { ...snapshot().device, firstSeenAt: clock.now() - 9_000_000_000 } },
    ],
  ])('comes back as it was, with %s', async (_, what) => {
    const cache = new MemoryCache(clock);
    const verdicts = new VerdictCache(cache, clock, settings);
    const leases = await verdicts.lease([ID]);
    const before = { ...snapshot(), ...what };
    await verdicts.fill(leases, new Map([[ID, before]]), clock.now());
    const known = await verdicts.read([ID]);
    expect(known.get(ID)).toMatchObject({ state: 'live', snapshot: before });
  });
});
