import { ZxcvbnFactory, type Match } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common';

/**
 * Three common parts, in any order and spelling, take 10^8 guesses and a little more. Four unlisted words take at
 * least 10^12.
 */
const MAX_GUESSES = 1.5e8;
/**
 * In characters. The time of an estimate grows with the square of the length, so a longer password is checked in
 * pieces.
 */
const PIECE = 48;
/** In characters. Shorter words occur in every text. */
const SHORTEST_CONTEXT_WORD = 3;
/**
 * Maximum share of spaces and punctuation that is ignored. A larger share contributes to the strength of the
 * password.
 */
const MAX_ORNAMENT = 0.25;

const IS_OWN_NAME = 'is easily guessed: it contains your name, your address or the name of this product';
const REPEATS_ITSELF = 'is easily guessed: it repeats itself';
const FOLLOWS_SOMETHING =
  'is easily guessed: it follows the order of the alphabet, the digits or the keyboard';
const IS_COMMON = 'is easily guessed: it consists of common passwords, words or dates';

/**
 * 49,000 passwords and 7,800 words in order of their use; spellings (`p4ssw0rd`, backwards), keyboards, sequences,
 * dates, repetitions.
 */
const estimator = new ZxcvbnFactory({
  dictionary: { ...dictionary },
  graphs: adjacencyGraphs,
  // Number of spellings to try. With the default of 100, some passwords take a quarter of a second.
  l33tMaxSubstitutions: 20,
});

/**
 * Explains why a password is easy to guess although it is long enough. At fifteen characters a list of common
 * passwords covers almost nothing. So this estimates the parts of a password: listed entries and patterns, strung
 * together or repeated.
 * @param context words that this user's password is likely to contain: name, address, product
 * @returns null if the password is not easy to guess
 */
export function findWeakness(password: string, context: string[]): string | null {
  const words = [...new Set([...context, ...context.map(bareOf)])].filter(
    (word) => word.length >= SHORTEST_CONTEXT_WORD,
  );
  const typed = [...password.normalize('NFKC')];
  const characters = typed.slice(0, periodOf(typed));
  let weakness: string | null = null;
  for (let start = 0; start < characters.length; start += PIECE) {
    weakness = weaknessOfPiece(characters.slice(start, start + PIECE).join(''), words);
    if (weakness === null) return null;
  }
  const repeats = characters.length < typed.length;
  return repeats && weakness !== IS_OWN_NAME ? REPEATS_ITSELF : weakness;
}

/** The length of the repeated part: 3 for `abcabcab`. A repetition adds little strength. */
function periodOf(characters: string[]): number {
  for (let period = 1; period * 2 <= characters.length; period += 1) {
    if (characters.every((one, index) => index < period || one === characters[index - period])) return period;
  }
  return characters.length;
}

/** Estimates the piece as typed, and without its separators. */
function weaknessOfPiece(piece: string, words: string[]): string | null {
  const bare = bareOf(piece);
  const isOrnament = piece.length - bare.length <= piece.length * MAX_ORNAMENT;
  for (const spelling of isOrnament ? new Set([piece, bare]) : [piece]) {
    const { guesses, sequence } = estimator.check(spelling, words);
    if (guesses <= MAX_GUESSES) return reasonOf(sequence);
  }
  return null;
}

const bareOf = (text: string): string => text.replace(/[\s\p{P}]/gu, '');

function reasonOf(sequence: Match[]): string {
  const has = (is: (match: Match) => boolean) => sequence.some(is);
  if (has(({ dictionaryName }) => dictionaryName === 'userInputs')) return IS_OWN_NAME;
  if (has(({ pattern }) => pattern === 'repeat')) return REPEATS_ITSELF;
  if (has(({ pattern }) => pattern === 'sequence' || pattern === 'spatial')) return FOLLOWS_SOMETHING;
  return IS_COMMON;
}
