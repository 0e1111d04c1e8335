import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  sign as signBytes,
  type KeyObject,
} from 'node:crypto';
import { TEST_KEYS } from './app.js';
import { encode, HEADER, signatureOf, signed } from './forge.js';
import { PRODUCT } from '../../src/product.js';

export interface Materials {
  /** The claims of a token of a live session, with a new `jti` each time, and these changes. */
  claims(changes?: object): Record<string, unknown>;
  /** A token that was issued. */
  authentic: string;
  /** The published keys. */
  jwks: { keys: Record<string, unknown>[] };
  /** The URL of a listener that must not be called. */
  listener: string;
  /** Seconds. */
  now: number;
}

type Forge = (materials: Materials) => Record<string, string>;

const OUR_KEY = TEST_KEYS.signing[0]!.privateKey;
const THEIRS = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** Signed by any key with its algorithm; for EdDSA the hash is null. */
function signedWith(header: object, claims: object, key: KeyObject, hash: string | null): string {
  const content = `${encode(header)}.${encode(claims)}`;
  const signature = signBytes(hash, Buffer.from(content), { key, dsaEncoding: 'ieee-p1363' });
  return `${content}.${signature.toString('base64url')}`;
}

/** Puts each of these values in the place of the original one. */
const each = (values: unknown[], make: (value: unknown) => string): Record<string, string> =>
  Object.fromEntries(values.map((value) => [JSON.stringify(value), make(value)]));

/**
 * Every way that we know to make a token that should not be good, named by its only fault, with our own signature
 * wherever a bug could let it count. (RFC 8725, OWASP JWT cheat sheet, advisories of JWT libraries)
 */
export const FORGERIES = {
  withoutSignature: ({ claims }) => {
    const forgeries: Record<string, string> = {};
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      const content = `${encode({ ...HEADER, alg })}.${encode(claims())}`;
      forgeries[`alg "${alg}", no signature`] = `${content}.`;
      forgeries[`alg "${alg}", two segments`] = content;
      forgeries[`alg "${alg}", our signature`] = `${content}.${signatureOf(content, OUR_KEY)}`;
    }
    const content = `${encode(HEADER)}.${encode(claims())}`;
    const bytes = (fill: number) => Buffer.alloc(64, fill).toString('base64url');
    return {
      ...forgeries,
      'no signature': `${content}.`,
      'zeros (r = s = 0, CVE-2022-21449)': `${content}.${bytes(0)}`,
      'r and s as long as they may be': `${content}.${bytes(255)}`,
    };
  },

  byPublicKey: ({ claims, jwks }) => {
    const key = createPublicKey(OUR_KEY);
    const pem = key.export({ type: 'spki', format: 'pem' });
    const secrets: Record<string, string | Buffer> = {
      'the PEM': pem,
      'the PEM without its last line end': pem.toString().trim(),
      'the DER': key.export({ type: 'spki', format: 'der' }),
      'the JWK': JSON.stringify(jwks.keys[0]),
      'the JWKS': JSON.stringify(jwks),
      'its x': String(jwks.keys[0]!['x']),
      nothing: '',
    };
    const forgeries: Record<string, string> = {};
    for (const [what, secret] of Object.entries(secrets)) {
      for (const alg of ['HS256', 'HS384', 'HS512']) {
        const content = `${encode({ ...HEADER, alg })}.${encode(claims())}`;
        const digest = createHmac(alg.replace('HS', 'sha'), secret).update(content).digest('base64url');
        forgeries[`${alg} with ${what}`] = `${content}.${digest}`;
      }
    }
    return forgeries;
  },

  byAnotherKeyOrAlgorithm: ({ claims, authentic }) => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
    const curve = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey;
    const content = `${encode(HEADER)}.${encode(claims())}`;
    const der = signBytes('sha256', Buffer.from(content), OUR_KEY).toString('base64url');
    const [header, , signature] = authentic.split('.');
    const saying = (alg: unknown, key: KeyObject, hash: string | null) =>
      signedWith({ ...HEADER, alg }, claims(), key, hash);
    return {
      RS256: saying('RS256', rsa, 'sha256'),
      PS256: saying('PS256', rsa, 'sha256'),
      'RS256 that says ES256': saying('ES256', rsa, 'sha256'),
      ES384: saying('ES384', curve('P-384'), 'sha384'),
      ES512: saying('ES512', curve('P-521'), 'sha512'),
      ES256K: saying('ES256K', curve('secp256k1'), 'sha256'),
      EdDSA: saying('EdDSA', generateKeyPairSync('ed25519').privateKey, null),
      'EdDSA that says ES256': saying('ES256', generateKeyPairSync('ed25519').privateKey, null),
      'RS256 by our own key': saying('RS256', OUR_KEY, 'sha256'),
      'ES384 by our own key': saying('ES384', OUR_KEY, 'sha384'),
      'ES384 by our own key that says ES256': saying('ES256', OUR_KEY, 'sha384'),
      'lower case': saying('es256', OUR_KEY, 'sha256'),
      'a list of algorithms': saying(['ES256'], OUR_KEY, 'sha256'),
      'an algorithm in an algorithm': saying({ alg: 'ES256' }, OUR_KEY, 'sha256'),
      'no algorithm': signed({ typ: HEADER.typ, kid: HEADER.kid }, claims()),
      "an attacker's key": signed(HEADER, claims(), THEIRS.privateKey),
      'our signature in DER': `${content}.${der}`,
      'our signature of another token': `${content}.${signature}`,
      'our token with other claims': [header, encode(claims({ roles: ['admin'] })), signature].join('.'),
    };
  },

  ofAnotherKind: ({ claims }) => ({
    'no typ': signed({ alg: HEADER.alg, kid: HEADER.kid }, claims()),
    ...each(
      ['JWT', 'jwt', 'rt+jwt', 'dpop+jwt', 'AT+JWT', 'application/at+jwt', 'at+jwt;x', '', null, ['at+jwt']],
      (typ) => signed({ ...HEADER, typ }, claims()),
    ),
  }),

  byAnotherName: ({ claims, listener }) => ({
    'no kid': signed({ alg: HEADER.alg, typ: HEADER.typ }, claims()),
    ...each(
      [
        'another-key',
        HEADER.kid.toUpperCase(),
        `${HEADER.kid} `,
        `${HEADER.kid}\0`,
        '',
        '../../../../dev/null',
        '/proc/self/environ',
        'file:///etc/passwd',
        listener,
        "x' union select 'secret' -- ",
        '$(id)',
        '__proto__',
        'constructor',
        'a'.repeat(65),
        0,
        true,
        null,
        [HEADER.kid],
        { kid: HEADER.kid },
      ],
      (kid) => signed({ ...HEADER, kid }, claims()),
    ),
  }),

  withItsOwnRules: ({ claims, listener }) => {
    const jwk = THEIRS.publicKey.export({ format: 'jwk' });
    const members: Record<string, unknown> = {
      jwk: { ...jwk, kid: HEADER.kid },
      jku: listener,
      x5u: listener,
      x5c: ['MIIB'],
      x5t: 'AAAA',
      'x5t#S256': 'AAAA',
      crit: [],
      b64: false,
      zip: 'DEF',
      cty: 'JWT',
      enc: 'A256GCM',
      epk: jwk,
      p2c: 1_000_000_000,
      iss: PRODUCT.slug,
      url: listener,
    };
    const forgeries: Record<string, string> = {};
    for (const [name, value] of Object.entries(members)) {
      const header = { ...HEADER, [name]: value };
      forgeries[`${name}, by an attacker`] = signed(header, claims(), THEIRS.privateKey);
      forgeries[`${name}, by us`] = signed(header, claims());
      forgeries[`${name} and crit`] = signed({ ...header, crit: [name] }, claims());
    }
    return forgeries;
  },

  withoutAClaim: ({ claims }) => {
    const forgeries: Record<string, string> = {};
    for (const name of ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp', 'roles']) {
      const { [name]: value, ...rest } = claims();
      forgeries[`no ${name}`] = signed(HEADER, rest);
      const others = [
        null,
        0,
        -1,
        1.5,
        true,
        '',
        ' ',
        '\0',
        `${String(value)}\0`,
        [],
        [value],
        {},
        { $ne: null },
      ];
      for (const other of others) {
        if (name === 'roles' && Array.isArray(other) && other.length === 0) continue; // no rights: harmless
        forgeries[`${name} ${JSON.stringify(other)}`] = signed(HEADER, { ...rest, [name]: other });
      }
    }
    return forgeries;
  },

  withAClaimMore: ({ claims, now }) =>
    Object.fromEntries(
      Object.entries({
        admin: true,
        nbf: now - 1,
        scope: 'payments:write',
        client_id: 'an-app',
        cnf: { jkt: 'x' },
        act: { sub: 'x' },
        email: 'alice@example.com',
        extra: null,
        Roles: ['admin'],
        constructor: 1,
      }).map(([name, value]) => [name, signed(HEADER, claims({ [name]: value }))]),
    ),

  forSomebodyElse: ({ claims }) => {
    const { slug } = PRODUCT;
    const others = [
      slug.slice(0, -1),
      `${slug}/`,
      slug.toUpperCase(),
      ` ${slug}`,
      `https://${slug}`,
      'other',
    ];
    return {
      ...each(others, (iss) => signed(HEADER, claims({ iss }))),
      ...Object.fromEntries(others.map((aud) => [`aud ${aud}`, signed(HEADER, claims({ aud }))])),
      'several audiences, ours among them': signed(HEADER, claims({ aud: ['other', slug] })),
    };
  },

  ofAnotherTime: ({ claims, now }) => {
    const at = (changes: object) => signed(HEADER, claims(changes));
    const base = claims();
    return {
      'good for a second too long': at({ iat: now, exp: now + 901 }),
      'good for a century': at({ iat: now, exp: now + 3_155_760_000 }),
      'good for ever': signed(HEADER, JSON.stringify(base).replace(String(base['exp']), '1e400')),
      'over before it began': at({ iat: now, exp: now - 1 }),
      'with a fraction': at({ exp: now + 60.5 }),
      'as text': at({ exp: String(now + 60) }),
      'issued in the future': at({ iat: now + 60, exp: now + 120 }),
    };
  },

  inAnotherSpelling: ({ claims }) => {
    const token = signed(HEADER, claims());
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const unusedBits = signature.slice(0, -1) + alphabet[alphabet.indexOf(signature.at(-1)!) + 1];
    const plain = Buffer.from(signature, 'base64url').toString('base64');
    return {
      'unused bits that are set': `${header}.${payload}.${unusedBits}`,
      padding: `${token}=`,
      'padding inside': `${header}=.${payload}.${signature}`,
      'the other alphabet': `${header}.${payload}.${plain.replace(/=+$/, '+')}`,
      'a dot behind': `${token}.`,
      'a dot before': `.${token}`,
      twice: `${token}.${token}`,
      'a quote around': `"${token}"`,
      'percent signs': token.replaceAll('.', '%2E'),
      'a comma and another': `${token},${token}`,
      'a space inside': token.replace('.', ' .'),
      'a tab inside': token.replace('.', '.\t'),
      'a letter of another alphabet': token.replace(/.$/, '\u00e9'),
      'five segments (JWE)': `${encode({ alg: 'dir', enc: 'A256GCM' })}..AAAA.AAAA.AAAA`,
      'five segments that want work (PBES2)': `${encode({ alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 2_147_483_647, p2s: 'AAAA' })}.AAAA.AAAA.AAAA.AAAA`,
      'JSON serialisation': encode({ payload, signatures: [{ protected: header, signature }] }),
      dots: '..',
      'a megabyte': `${header}.${'A'.repeat(1_000_000)}.${signature}`,
      'a megabyte of dots': '.'.repeat(1_000_000),
      'a little too long, and signed': signed(HEADER, claims({ pad: 'x'.repeat(3_000) })),
    };
  },

  inStrangeJson: ({ claims }) => {
    const base = claims();
    const json = JSON.stringify(base);
    const of = (text: string | Buffer) => {
      const content = `${encode(HEADER)}.${Buffer.from(text).toString('base64url')}`;
      return `${content}.${signatureOf(content, OUR_KEY)}`;
    };
    const twice = (name: string, first: unknown) =>
      of(`{"${name}":${JSON.stringify(first)},${json.slice(1)}`);
    return {
      'sub twice': twice('sub', '00000000-0000-4000-8000-000000000000'),
      'exp twice': twice('exp', 1),
      'roles twice': twice('roles', ['user']),
      'alg twice': `${encode(`{"alg":"none",${JSON.stringify(HEADER).slice(1)}`)}.${encode(base)}.${'A'.repeat(86)}`,
      'a header with alg twice, and signed': signed(`{"alg":"none",${JSON.stringify(HEADER).slice(1)}`, base),
      'spaces before and behind': of(` ${json} `),
      'a byte order mark': of(`\ufeff${json}`),
      'a name in disguise': of(json.replace('"sub"', '"\\u0073ub"')),
      'a number in disguise': of(json.replace(/"iat":(\d+)/, '"iat":$1.0')),
      'bytes that are no text': of(
        Buffer.concat([Buffer.from(json.slice(0, -1)), Buffer.from(',"x":"\xff"}', 'latin1')]),
      ),
      'claims in claims': of(JSON.stringify({ claims: base })),
      'claims in a list': of(`[${json}]`),
      'claims in a text': of(JSON.stringify(json)),
      'a prototype': of(`{"__proto__":${json}}`),
      'deep nesting': of('['.repeat(1_000)),
      'another object behind': of(`${json}{}`),
    };
  },
} satisfies Record<string, Forge>;

export type ForgeryGroup = keyof typeof FORGERIES;

/** All of them in one table, named by group and kind. */
export function allForgeries(materials: Materials): Record<string, string> {
  return Object.fromEntries(
    Object.entries(FORGERIES).flatMap(([group, forge]) =>
      Object.entries(forge(materials)).map(([kind, token]) => [`${group}: ${kind}`, token]),
    ),
  );
}

/**
 * The other valid signature for the same key and content: (r, n − s). Because both are good, nothing may depend on
 * a token's text.
 */
export function malleate(token: string): string {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const [header, claims, signature] = token.split('.');
  const bytes = Buffer.from(signature!, 'base64url');
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const other = Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex');
  return `${header}.${claims}.${Buffer.concat([bytes.subarray(0, 32), other]).toString('base64url')}`;
}
