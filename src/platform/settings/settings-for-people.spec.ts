import { describe, expect, it } from '@jest/globals';
import { settingsForPeople } from './settings-for-people.js';

const SECRET = 'a-secret-of-more-than-20-letters';
const HIDDEN = 'hidden';

function show(env: Record<string, string>, fromFile: Record<string, string> = {}) {
  const rows = settingsForPeople(env, { ...fromFile, ...env });
  return new Map(rows.map(([variable, source, value]) => [variable, `${source}: ${value}`]));
}

describe('the settings for people', () => {
  it('tell where each value comes from: the environment, the file or the default', () => {
    const shown = show({ PORT: '4000' }, { ACCESS_TOKEN_TTL: '5m', PORT: '1' });
    expect(shown.get('PORT')).toBe('environment: 4000');
    expect(shown.get('ACCESS_TOKEN_TTL')).toBe('.env: 5m');
    expect(shown.get('CACHE_LEASE')).toBe('default: 30s');
    expect(shown.get('SMTP_URL')).toMatch(/^default: \(none: mails are written to files/);
  });

  it('show URLs without their passwords, and no other secret', () => {
    const shown = show({
      METRICS_TOKEN: SECRET,
      DATABASE_URL: `postgres://app:${SECRET}@db.example/app?sslmode=verify-full&password=${SECRET}`,
      REDIS_URL: `rediss://app:${SECRET}@a.example,rediss://app:${SECRET}@b.example:7000`,
    });
    expect(shown.get('METRICS_TOKEN')).toBe('environment: (hidden)');
    expect(shown.get('DATABASE_URL')).toBe(
      `environment: postgres://app:${HIDDEN}@db.example/app?sslmode=${HIDDEN}&password=${HIDDEN}`,
    );
    expect(shown.get('REDIS_URL')).toBe(
      `environment: rediss://app:${HIDDEN}@a.example,rediss://app:${HIDDEN}@b.example:7000`,
    );
    expect([...shown.values()].join()).not.toContain(SECRET);
  });

  it.each(['/', '?', '#'])('hide a URL whose password has a %s that ends the host', (character) => {
    const shown = show({ DATABASE_URL: `postgres://app:5432${character}${SECRET}@db.example/app` });
    expect(shown.get('DATABASE_URL')).toBe('environment: (hidden)');
  });

  it('are not shown when a value would stop the boot', () => {
    expect(() => show({ PORT: 'x' })).toThrow(/^PORT "x" .*allowed: /);
  });
});
