import { isIP } from 'node:net';

/** Enough to recognise a device or an address by; too little for a letter of one's own. In code points. */
const MAX_LENGTH = 64;
/** Of sentences of ours with names inside. */
const MAX_SENTENCE_LENGTH = 240;
const SENTENCES = new Set(['signal']);

const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu;
/** All other characters become spaces: full stops of other scripts, line ends, controls, slashes, colons, brackets, quotation marks. */
const NOT_PLAIN = /[^\p{L}\p{M}\p{N}\p{Extended_Pictographic} .,;!?'’()&+_\-[\]…]+/gu;
/** Mail programs call what has seven digits, whatever stands between them. */
const PHONE_NUMBER = /\p{N}(?:[^\p{L}\p{N}]*\p{N}){6,}/gu;
const MAX_DIGITS = 6;

/**
 * Text of other people for a mail, so that no mail program makes a link of it: not of a URL, a bare domain, an e-mail address or a
 * phone number, in any script or width. `thief@evil.com` becomes `thief[at]evil[dot]com`.
 */
export function inertText(text: string, maxLength = MAX_LENGTH): string {
  const characters = [...text.normalize('NFKC').replace(INVISIBLE, '')];
  const cut =
    characters.length > maxLength ? `${characters.slice(0, maxLength).join('')}…` : characters.join('');
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

/** What is read before a template has it: templates cannot forget it. Ours are instants and addresses of callers, and only if they look so. */
export function inertData<Data extends object>(data: Data): Data {
  const inert = Object.entries(data).map(([name, value]) => [
    name,
    typeof value === 'string' ? inertField(name, value) : value,
  ]);
  return Object.fromEntries(inert) as Data;
}

function inertField(name: string, value: string): string {
  if (name === 'at' && new Date(value).toJSON() === value) return value;
  if (name === 'ip' && isIP(value)) return value;
  return inertText(value, SENTENCES.has(name) ? MAX_SENTENCE_LENGTH : MAX_LENGTH);
}
