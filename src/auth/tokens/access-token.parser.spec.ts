import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeAccessToken } from './access-token.parser.js';

const HEADER = { alg: 'ES256', typ: 'at+jwt', kid: 'a-key_1' };
const CLAIMS = {
  iss: 'drawbridge',
  aud: 'drawbridge',
  sub: 'a11ce000-0000-4000-8000-000000000000',
  sid: '01939c5e-0000-7000-8000-000000000000',
  jti: 'AZrXJ5sAcACAAAAAAAAAAE7mLDQAAEAAgAAAAAAAAAA',
  iat: 1_700_000_000,
  exp: 1_700_000_900,
  roles: ['user'],
};
const SIGNATURE = Buffer.alloc(64, 7).toString('base64url');

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const tokenOf = (header: unknown = HEADER, claims: unknown = CLAIMS, signature = SIGNATURE) =>
  `${encode(header)}.${encode(claims)}.${signature}`;
const without = (name: keyof typeof CLAIMS) => {
  const { [name]: _, ...rest } = CLAIMS;
  return rest;
};

describe('decodeAccessToken()', () => {
  it('decodeAccessToken() accepts a token of this server and returns the signed bytes', () => {
    const token = tokenOf();
    expect(decodeAccessToken(token)).toEqual({
      header: HEADER,
      claims: CLAIMS,
      content: Buffer.from(token.slice(0, token.lastIndexOf('.'))),
      signature: Buffer.alloc(64, 7),
    });
  });

  it.each([
    ['an undeclared one', { admin: true }],
    ['a registered one that is not in the contract (RFC 7519 4.1.5)', { nbf: 0 }],
    ['one of OAuth (RFC 9068 2.2)', { client_id: 'x', scope: 'all' }],
    ['a key to hold (RFC 7800)', { cnf: { jkt: 'x' } }],
    ['an actor (RFC 8693)', { act: { sub: CLAIMS.sub } }],
    ['one without a value', { extra: null }],
    ['one without a name', { '': 1 }],
    ['one of ours in another case', { Sub: CLAIMS.sub }],
    ['one of every object', { constructor: 1 }],
    ['one of every object, by its own name', JSON.parse('{"__proto__":{"admin":true}}') as object],
  ])('decodeAccessToken() refuses a token with an extra claim: %s [TOK-13]', (_what, more) => {
    const claims = JSON.stringify(CLAIMS).slice(0, -1) + `,${JSON.stringify(more).slice(1)}`;
    expect(decodeAccessToken(tokenOf(HEADER, claims))).toBeNull();
  });

  it.each(['header', 'claims'] as const)(
    'decodeAccessToken() refuses a token with a duplicate name in its %s (RFC 7519 4)',
    (part) => {
      const twice = (value: object) => {
        const [[name, first]] = Object.entries(value) as [[string, unknown]];
        return `{"${name}":${JSON.stringify(first)},${JSON.stringify(value).slice(1)}`;
      };
      const parts = part === 'header' ? [twice(HEADER), CLAIMS] : [HEADER, twice(CLAIMS)];
      expect(decodeAccessToken(tokenOf(...parts))).toBeNull();
    },
  );

  it.each<[string, unknown]>([
    ...[
      'none',
      'None',
      'NONE',
      'nOnE',
      '',
      'HS256',
      'HS384',
      'HS512',
      'RS256',
      'PS256',
      'ES384',
      'ES512',
    ].map((alg): [string, unknown] => [`alg ${JSON.stringify(alg)}`, { ...HEADER, alg }]),
    ['EdDSA', { ...HEADER, alg: 'EdDSA' }],
    ['alg in lower case', { ...HEADER, alg: 'es256' }],
    ['several algs', { ...HEADER, alg: ['ES256'] }],
    ['no alg', { typ: 'at+jwt', kid: 'a-key_1' }],
    ...['JWT', 'rt+jwt', 'AT+JWT', 'application/at+jwt', '', 'at+jwt '].map((typ): [string, unknown] => [
      `typ ${JSON.stringify(typ)}`,
      { ...HEADER, typ },
    ]),
    ['no typ', { alg: 'ES256', kid: 'a-key_1' }],
    ['no kid', { alg: 'ES256', typ: 'at+jwt' }],
    ...['', '../../dev/null', "x' or '1'='1", 'a'.repeat(65), 'a b', 'é', 'http://x/', 'a\u0000'].map(
      (kid): [string, unknown] => [`kid ${JSON.stringify(kid)}`, { ...HEADER, kid }],
    ),
    ...[1, null, true, ['a-key_1'], { a: 1 }].map((kid): [string, unknown] => [
      `kid ${JSON.stringify(kid)}`,
      { ...HEADER, kid },
    ]),
    ...['crit', 'b64', 'zip', 'cty', 'enc', 'jwk', 'jku', 'x5u', 'x5c', 'x5t', 'nonce', 'constructor'].map(
      (member): [string, unknown] => [`a member ${member}`, { ...HEADER, [member]: null }],
    ),
    ['an array', [HEADER]],
    ['a text', '"ES256"'],
    ['null', 'null'],
    ['nothing', ' '],
    ['JSON that ends early', '{"alg":"ES256"'],
    ['JSON with more behind it', `${JSON.stringify(HEADER)}x`],
  ])('decodeAccessToken() refuses a header with %s [TOK-02, TOK-14]', (_what, header) => {
    expect(decodeAccessToken(tokenOf(header))).toBeNull();
  });

  const wrong = [undefined, null, 0, -1, 1.5, true, '', '\u0000', 'x', [], ['x'], {}, { a: 1 }];
  it.each(Object.keys(CLAIMS) as (keyof typeof CLAIMS)[])(
    'decodeAccessToken() refuses a token without %s or with a wrong type of it',
    (name) => {
      expect(decodeAccessToken(tokenOf(HEADER, without(name)))).toBeNull();
      const isRight = (value: unknown) => {
        if (name === 'iss' || name === 'aud') return typeof value === 'string'; // other code checks the value
        if (name === 'iat' || name === 'exp') return value === 0;
        return name === 'roles' && Array.isArray(value) && value.length === 0;
      };
      for (const value of wrong.filter((candidate) => !isRight(candidate))) {
        const claims = { ...CLAIMS, [name]: value };
        expect({ value, decoded: decodeAccessToken(tokenOf(HEADER, claims)) }).toEqual({
          value,
          decoded: null,
        });
      }
    },
  );

  it('decodeAccessToken() accepts only the exact format of a jti', () => {
    for (const other of [
      CLAIMS.jti.slice(1),
      `${CLAIMS.jti}A`,
      `${CLAIMS.jti}\n`,
      CLAIMS.sid,
      [CLAIMS.jti],
      7,
    ]) {
      expect(decodeAccessToken(tokenOf(HEADER, { ...CLAIMS, jti: other }))).toBeNull();
    }
  });

  it.each(['sub', 'sid'] as const)(
    'decodeAccessToken() accepts only the canonical spelling of a UUID as %s',
    (name) => {
      const { [name]: id } = CLAIMS;
      for (const other of [id.toUpperCase(), `{${id}}`, ` ${id}`, `${id}\n`, id.replaceAll('-', ''), [id]]) {
        if (other === id) continue;
        expect(decodeAccessToken(tokenOf(HEADER, { ...CLAIMS, [name]: other }))).toBeNull();
      }
    },
  );

  it('decodeAccessToken() refuses numbers that are not safe integers, and unknown roles', () => {
    for (const exp of ['1e400', '9007199254740993', '-0.5', '"1700000900"']) {
      const claims = JSON.stringify(CLAIMS).replace('1700000900', exp);
      expect(decodeAccessToken(tokenOf(HEADER, claims))).toBeNull();
    }
    expect(decodeAccessToken(tokenOf(HEADER, { ...CLAIMS, roles: ['root'] }))).toBeNull();
  });

  it('decodeAccessToken() refuses every spelling except the canonical one [TOK-15]', () => {
    const [header, claims, signature] = tokenOf().split('.') as [string, string, string];
    // 64 bytes leave four unused bits in the last character, so 15 other characters decode to the same bytes.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(signature.at(-1)!);
    for (let spare = 1; spare < 16; spare++) {
      const respelled = signature.slice(0, -1) + alphabet[last + spare];
      expect(Buffer.from(respelled, 'base64url')).toEqual(Buffer.from(signature, 'base64url'));
      expect(decodeAccessToken(`${header}.${claims}.${respelled}`)).toBeNull();
    }
    for (const other of [
      `${header}=.${claims}.${signature}`,
      `${header}.${claims}=.${signature}`,
      `${header}.${claims}.${signature}=`,
      `${header}.${claims}.${signature}.`,
      `.${header}.${claims}.${signature}`,
      `${header}.${claims}.`,
      `${header}.${claims}`,
      `${header}..${signature}`,
      `${header}.${claims}.${signature.slice(0, -2)}`,
      `${header}.${claims}.${signature}AA`,
      `${header}.${claims}.${signature}\n`,
      ` ${header}.${claims}.${signature}`,
      `${header} .${claims}.${signature}`,
      `${header}.${claims}.${signature}.${claims}.${signature}`,
    ]) {
      expect(decodeAccessToken(other)).toBeNull();
    }
  });

  it('decodeAccessToken() refuses claims that are not valid UTF-8 [TOK-15]', () => {
    const latin1 = Buffer.from(JSON.stringify({ ...CLAIMS, iss: 'é' }), 'latin1').toString('base64url');
    expect(decodeAccessToken(`${encode(HEADER)}.${latin1}.${SIGNATURE}`)).toBeNull();
  });

  it('decodeAccessToken() refuses a token longer than 4,096 characters [TOK-15, TOK-16]', () => {
    const padded = (length: number) => tokenOf(HEADER, { ...CLAIMS, iss: 'x'.repeat(length) });
    let length = 0;
    while (padded(length + 1).length <= 4_096) length += 1;
    expect(decodeAccessToken(padded(length))).not.toBeNull();
    expect(decodeAccessToken(padded(length + 1))).toBeNull();
  });
});

describe('decodeAccessToken() with arbitrary input', () => {
  const anyText = fc.string({ unit: 'binary' });
  const segments = fc.tuple(
    fc.oneof(fc.constant(encode(HEADER)), fc.json().map(encode), fc.base64String(), anyText),
    fc.oneof(fc.constant(encode(CLAIMS)), fc.json().map(encode), fc.base64String(), anyText),
    fc.oneof(fc.constant(SIGNATURE), fc.base64String(), anyText),
  );
  const looksLikeOne = segments.map((parts) => parts.join('.'));

  it('decodeAccessToken() never throws and accepts only the canonical spelling of a complete token', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, looksLikeOne), (token) => {
        const decoded = decodeAccessToken(token);
        if (!decoded) return;
        expect(`${decoded.content.toString()}.${decoded.signature.toString('base64url')}`).toBe(token);
        expect(decoded.header).toEqual(JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()));
        expect(decoded.signature).toHaveLength(64);
      }),
      { numRuns: 2_000 },
    );
  });

  it('A token with one changed character is refused, unless the signature covers the change', () => {
    const token = tokenOf();
    fc.assert(
      fc.property(
        fc.nat(token.length - 1),
        fc.constantFrom(...'AZaz09-_.=+/ é\u0000'),
        (position, character) => {
          fc.pre(token[position] !== character);
          const changed = token.slice(0, position) + character + token.slice(position + 1);
          const decoded = decodeAccessToken(changed);
          if (!decoded) return;
          const same =
            decoded.content.equals(Buffer.from(token.slice(0, token.lastIndexOf('.')))) &&
            decoded.signature.equals(Buffer.alloc(64, 7));
          expect(same).toBe(false);
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
