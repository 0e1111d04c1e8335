import { describe, expect, it } from '@jest/globals';
import {
  KEY_VERSIONS,
  keyVersionOfTokenId,
  mintTokenId,
  sessionOfTokenId,
  traitsOfTokenId,
} from './token-id.js';

const SESSION_ID = '0192d5a0-1234-7abc-8def-0123456789ab';

describe('The id of an access token', () => {
  it('The id of an access token contains the session, the key version and the traits', () => {
    for (const transport of ['cookie', 'bearer'] as const)
      for (const needsKey of [false, true])
        for (const keyVersion of [0, 1, 255, 256, KEY_VERSIONS - 1]) {
          const id = mintTokenId(SESSION_ID, keyVersion, { transport, needsKey });
          expect(sessionOfTokenId(id)).toBe(SESSION_ID);
          expect(keyVersionOfTokenId(id)).toBe(keyVersion);
          expect(traitsOfTokenId(id)).toEqual({ transport, needsKey });
        }
  });

  it('The id of an access token from before device binding needs no key, whatever its random bits are', () => {
    for (let byte = 0; byte < 256; byte += 1) {
      const bytes = Buffer.from(mintTokenId(SESSION_ID, 7), 'base64url');
      bytes.fill(byte, 16, 30);
      const id = bytes.toString('base64url');
      expect(traitsOfTokenId(id)).toEqual({ transport: byte % 2 ? 'bearer' : 'cookie', needsKey: false });
      expect(keyVersionOfTokenId(id)).toBe(7);
    }
  });
});
