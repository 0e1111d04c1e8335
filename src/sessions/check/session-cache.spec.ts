import { describe, expect, it } from '@jest/globals';
import { MemoryCache } from '../../platform/cache/memory-cache.js';
import { SystemClock } from '../../platform/runtime/clock.js';
import { loadSettings } from '../../platform/settings/load-settings.js';
import type { SessionSnapshot } from './session-snapshot.js';
import { SessionCache } from './session-cache.js';
import { packLive } from './session-cache.codec.js';
import { INITIAL_SNAPSHOT } from './session-snapshot.repository.js';

const ID = '01a1fb9c-777e-76a0-9173-796b28a79329';
const clock = new SystemClock();
const settings = loadSettings({ NODE_ENV: 'test' });

describe('a writer with access to the session cache', () => {
  it.each([
    ['accepted for as long as a lease lasts', settings.cacheLease, 'live'],
    ['refused when it claims a longer lifetime (S2)', settings.cacheLease + 60_000, undefined],
    ['refused after its lifetime', -1, undefined],
  ])('a cached session is %s', async (_, claims, state) => {
    const cache = new MemoryCache(clock);
    const entry = packLive(snapshot(), clock.now() + claims);
    await cache.setMany([[`session:${ID}`, entry]], 3_600_000);
    const known = await new SessionCache(cache, clock, settings).read([ID]);
    expect(known.get(ID)?.state).toBe(state);
  });
});

function snapshot(): SessionSnapshot {
  const now = clock.now();
  return {
    ...INITIAL_SNAPSHOT,
    id: ID,
    userId: ID,
    roles: ['user'],
    transport: 'cookie',
    createdAt: now,
    lastSeenAt: now,
    authenticatedAt: now,
    device: { id: ID, name: 'a device', browser: null, os: null, firstSeenAt: now },
  };
}

describe('a session that goes through the cache', () => {
  it.each<[string, Partial<SessionSnapshot>]>([
    ['no known place', {}],
    ['a second factor', { secondFactorAt: clock.now() + 90_000_000 }],
    ['new keys', { keyVersion: 65_535 }],
    ['new keys that no request has presented', { keyVersion: 1, undelivered: true }],
    ['a country', { country: 'AT', originCountry: 'AT' }],
    ['a new country', { country: 'DE', originCountry: 'AT', deviations: ['?country:DE', 'travel'] }],
    ['a known country that has become unknown', { country: null, originCountry: 'AT' }],
    ['a country that was unknown at login', { country: 'DE', originCountry: null }],
    [
      'a city',
      {
        country: 'NZ',
        originCountry: 'NZ',
        location: { latitude: -36.8, longitude: 174.8, at: clock.now() + 2_000_000_000 },
      },
    ],
    [
      'a device with its default name',
      { device: { ...snapshot().device, name: 'Firefox on Linux', browser: 'Firefox', os: 'Linux' } },
    ],
    [
      'a device that was seen before',
      { device: { ...snapshot().device, firstSeenAt: clock.now() - 9_000_000_000 } },
    ],
  ])('a cached session is read back unchanged, with %s', async (_, what) => {
    const cache = new MemoryCache(clock);
    const sessionCache = new SessionCache(cache, clock, settings);
    const leases = await sessionCache.lease([ID]);
    const before = { ...snapshot(), ...what };
    await sessionCache.fill(leases, new Map([[ID, before]]), clock.now());
    const known = await sessionCache.read([ID]);
    expect(known.get(ID)).toMatchObject({ state: 'live', snapshot: before });
  });
});
