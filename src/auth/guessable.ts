import { ZxcvbnFactory, type Match } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary } from '@zxcvbn-ts/language-common';

/**
 * Three common parts, in any order and spelling, are found within 10^8 guesses and a little more; four words that
 * nobody has listed take 10^12 and more.
 */
const MOST_GUESSES = 1.5e8;
/** The time that it takes grows with the square of the length; what is longer is looked at piece by piece. */
const PIECE = 48;
/** Shorter ones are in every text. */
const SHORTEST_CONTEXT_WORD = 3;
/** Of a password, in spaces and punctuation. Where there is more, it is what makes it hard to guess. */
const MOST_ORNAMENT = 0.25;

const IS_OWN_NAME = 'is easily guessed: it is built on your name, your address or the name of this product';
const REPEATS_ITSELF = 'is easily guessed: it repeats itself';
const FOLLOWS_SOMETHING = 'is easily guessed: it follows the alphabet, the digits or the keyboard';
const IS_COMMON = 'is easily guessed: it is made of common passwords, words or dates';

/** 49,000 passwords and 7,800 words in order of their use; spellings (`p4ssw0rd`, backwards), keyboards, sequences, dates, repetitions. */
const estimator = new ZxcvbnFactory({
  dictionary: { ...dictionary },
  graphs: adjacencyGraphs,
  // Spellings that are tried; the default of 100 lets some passwords take a quarter of a second.
  l33tMaxSubstitutions: 20,
});

/**
 * Why a password is among the first that anybody would try, although it is long enough; null when it is not.
 * A list of common passwords says next to nothing at fifteen characters, so what counts is what a password is
 * made of: listed entries and rules, strung together or repeated.
 * @param context what this person's passwords are likely to be made of: name, address, product
 */
export function weaknessOf(password: string, context: string[]): string | null {
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

/** 3 of `abcabcab`: what is said often is worth little more than what is said once. */
function periodOf(characters: string[]): number {
  for (let period = 1; period * 2 <= characters.length; period += 1) {
    if (characters.every((one, index) => index < period || one === characters[index - period])) return period;
  }
  return characters.length;
}

/** As it was typed, and as it would be typed by somebody who forgets what stands between its parts. */
function weaknessOfPiece(piece: string, words: string[]): string | null {
  const bare = bareOf(piece);
  const isOrnament = piece.length - bare.length <= piece.length * MOST_ORNAMENT;
  for (const spelling of isOrnament ? new Set([piece, bare]) : [piece]) {
    const { guesses, sequence } = estimator.check(spelling, words);
    if (guesses <= MOST_GUESSES) return reasonOf(sequence);
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
