import { describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readDpopProof } from './dpop-proof.js';

/** RFC 9449, figure 2 (section 4.1). */
const FOR_TOKENS =
  'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg';
/** RFC 9449, figure 13 (section 7.1), and the access token of figure 12. */
const FOR_A_RESOURCE =
  'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA';
const ACCESS_TOKEN = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU';
const KEY = {
  kty: 'EC',
  crv: 'P-256',
  x: 'l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs',
  y: '9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA',
};
/** RFC 9449, figure 8 (section 6.1): the thumbprint of this key. */
const THUMBPRINT = '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I';

describe('readDpopProof()', () => {
  it('readDpopProof() verifies the proofs of RFC 9449', async () => {
    expect(await readDpopProof(FOR_TOKENS)).toEqual({
      key: KEY,
      thumbprint: THUMBPRINT,
      claims: {
        jti: '-BwC3ESc6acc2lTc',
        htm: 'POST',
        htu: 'https://server.example.com/token',
        iat: 1562262616,
      },
    });
    expect(await readDpopProof(FOR_A_RESOURCE)).toEqual({
      key: KEY,
      thumbprint: THUMBPRINT,
      claims: {
        jti: 'e1j3V_bKic8-LAEB',
        htm: 'GET',
        htu: 'https://resource.example.org/protectedresource',
        iat: 1562262618,
        ath: createHash('sha256').update(ACCESS_TOKEN).digest('base64url'),
      },
    });
  });

  it('readDpopProof() refuses the claims of one proof with the signature of another, and every changed byte', async () => {
    const [header, claims, signature] = FOR_TOKENS.split('.') as [string, string, string];
    expect(await readDpopProof([header, claims, FOR_A_RESOURCE.split('.')[2]].join('.'))).toBeNull();
    for (const [place, part] of [header, claims, signature].entries()) {
      const bytes = Buffer.from(part, 'base64url');
      for (let index = 0; index < bytes.length; index += 1) {
        const changed = Buffer.from(bytes);
        changed[index]! ^= 1;
        const parts = [header, claims, signature].with(place, changed.toString('base64url'));
        expect(await readDpopProof(parts.join('.'))).toBeNull();
      }
    }
  });
});
