import { describe, expect, it } from '@jest/globals';
import { generateKeyFile, keysOf, parseKeyFile } from '../../platform/keys/key-format.js';
import { KeyStore } from '../../platform/keys/key-store.js';
import { KeyRing } from './key-ring.js';

const NOW = Date.UTC(2026, 0, 1);
const text = generateKeyFile('production');
const keysIn = () => keysOf(parseKeyFile(text));

describe('The key ring', () => {
  it('The key ring keeps a key that is read again, so that no token has to be verified again', () => {
    const store = new KeyStore(keysIn());
    const ring = new KeyRing(store);
    const { kid } = ring.signer(NOW);
    const before = ring.verifier(kid, NOW);
    expect(before?.type).toBe('public');
    store.replace(keysIn());
    expect(ring.verifier(kid, NOW)).toBe(before);
  });

  it('The key ring distinguishes a retired key, and a key remembered by its kid, from an unknown one', () => {
    const keys = keysIn();
    const [signing] = keys.signing;
    const retiring = { ...signing!, kid: 'retiring', retiresAt: NOW };
    const ring = new KeyRing(
      new KeyStore({ ...keys, signing: [signing!, retiring], retiredKids: ['remembered'] }),
    );
    const known = (kid: string, now: number) => [
      ring.verifier(kid, now) !== undefined,
      ring.hasRetired(kid, now),
    ];
    expect(known('retiring', NOW - 1)).toEqual([true, false]);
    expect(known('retiring', NOW)).toEqual([false, true]);
    expect(known('remembered', NOW)).toEqual([false, true]);
    expect(known('never', NOW)).toEqual([false, false]);
    expect(ring.published(NOW - 1).map(({ kid }) => kid)).toEqual([signing!.kid, 'retiring']);
    expect(ring.published(NOW).map(({ kid }) => kid)).toEqual([signing!.kid]);
  });
});
