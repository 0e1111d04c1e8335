import { isIP } from 'node:net';

/** In code points: enough to recognise a device or an address, too little for a message. */
const MAX_LENGTH = 64;

const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu;
/**
 * All other characters become spaces: full stops of other scripts, line ends, controls, slashes, colons, brackets,
 * quotation marks.
 */
const NOT_PLAIN = /[^\p{L}\p{M}\p{N}\p{Extended_Pictographic} .,;!?'’()&+_\-[\]…]+/gu;
/** Mail programs link any seven digits as a phone number, even with separators between them. */
const PHONE_NUMBER = /\p{N}(?:[^\p{L}\p{N}]*\p{N}){6,}/gu;
const MAX_DIGITS = 6;

/**
 * Changes untrusted text so that no mail program makes a link of it: no URL, bare domain, e-mail address or phone
 * number, in any script or width. `thief@evil.com` becomes `thief[at]evil[dot]com`.
 */
export function inertText(text: string): string {
  const characters = [...text.normalize('NFKC').replace(INVISIBLE, '')];
  const cut =
    characters.length > MAX_LENGTH ? `${characters.slice(0, MAX_LENGTH).join('')}…` : characters.join('');
  return cut
    .replace(/@/g, '[at]')
    .replace(/\.(?=\S)/g, '[dot]')
    .replace(NOT_PLAIN, ' ')
    .replace(PHONE_NUMBER, maskedFromTheSeventh)
    .trim();
}

function maskedFromTheSeventh(number: string): string {
  let digits = 0;
  return number.replace(/\p{N}/gu, (digit) => ((digits += 1) > MAX_DIGITS ? '•' : digit));
}

/**
 * Makes all data of a mail inert before a template gets it, so that no template can forget to: the texts in lists and
 * objects too, and names of fields. Only valid instants and client addresses stay unchanged.
 *
 * @param data values of JSON
 */
export function inertData<Data extends object>(data: Data): Data {
  return inertValue('', data) as Data;
}

function inertValue(name: string, value: unknown): unknown {
  if (typeof value === 'string') return inertField(name, value);
  if (Array.isArray(value)) return value.map((item) => inertValue(name, item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [inertText(key), inertValue(key, item)]),
  );
}

function inertField(name: string, value: string): string {
  if (name === 'at' && new Date(value).toJSON() === value) return value;
  if (name === 'ip' && isIP(value)) return value;
  return inertText(value);
}
