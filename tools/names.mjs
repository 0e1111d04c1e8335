/** The names of a product: their rules, where they stand, and how a text gets other ones. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {object} Names
 * @property {string} name for people, such as `Acme Shop`
 * @property {string} slug for machines, such as `acmeshop`
 * @property {string} keyPrefix the beginning of API keys
 */

/** PostgreSQL allows 63 characters. The longest names of the tests add 32 to the slug. */
const SLUG = /^[a-z][a-z0-9]{2,30}$/;
const NAME = /^[A-Z][A-Za-z0-9]*( [A-Za-z0-9]+)*$/;
const MAX_NAME = 40; // fits the default of MAIL_FROM into a line of a mail
const KEY_PREFIX = /^[a-z][a-z0-9]{1,15}$/;
const MAX_KEY_PREFIX = 16;

/** Words with a meaning of their own in the languages and stores that the slug becomes part of. */
const RESERVED = new Set(
  `abstract admin any app arguments async await boolean break case catch class code const continue debugger
  default delete detail enum eval export extends false final finally for function implements import instanceof interface let
  localhost native new node none npm null package postgres private protected public redis return root session static
  status super switch synchronized template0 template1 test this throw title transient true try type typeof undefined user users var
  void volatile while with yield`.split(/\s+/),
);

const ESCAPED = /[\\^$.*+?()[\]{}|]/g;

/**
 * @param {{ name?: string, title?: string, keyPrefix?: string }} options as on the command line
 * @param {Names} current names that the new ones replace
 * @returns {Names}
 * @throws {Error} with a sentence that says what is allowed
 */
export function newNames({ name: slug = '', title, keyPrefix }, current) {
  if (!SLUG.test(slug))
    throw new Error(
      `--name "${slug}" is not allowed: 3 to 31 lower-case letters and digits, a letter first. It becomes part of ` +
        'package names, metrics, Redis keys, and names in PostgreSQL, which allow little else. --title may have capitals and spaces.',
    );
  if (RESERVED.has(slug) || slug === current.slug)
    throw new Error(`--name "${slug}" is not allowed: the code or a store uses this word already.`);
  const name = title ?? slug[0].toUpperCase() + slug.slice(1);
  if (!NAME.test(name) || name.length > MAX_NAME)
    throw new Error(
      `--title "${name}" is not allowed: at most ${MAX_NAME} letters, digits and single spaces, a capital first. It becomes part of ` +
        'the sender of mails.',
    );
  const prefix = keyPrefix ?? slug.slice(0, MAX_KEY_PREFIX);
  if (!KEY_PREFIX.test(prefix))
    throw new Error(
      `--key-prefix "${prefix}" is not allowed: 2 to 16 lower-case letters and digits, a letter first. It begins every API key.`,
    );
  return { name, slug, keyPrefix: prefix };
}

/** @param {string} folder of a template or of a product @returns {Names} */
export function namesIn(folder) {
  const text = readFileSync(join(folder, 'src/product.ts'), 'utf8');
  const found = /^export const PRODUCT = productOf\(\s*'([^']+)',\s*'([^']+)',\s*'([^']+)'/m.exec(text);
  if (!found)
    throw new Error(`${folder}/src/product.ts has no names: productOf('Name', 'slug', 'key prefix')`);
  const [, name, slug, keyPrefix] = found;
  return { name, slug, keyPrefix };
}

/**
 * @param {Names} from
 * @param {Names} to
 * @returns {(file: string, text: string) => string} replaces all names in one pass, so that a new name may contain an old one
 */
export function renamer(from, to) {
  const pairs = new Map([
    [from.name, to.name],
    [from.slug, to.slug],
    [from.slug.toUpperCase(), to.slug.toUpperCase()],
  ]);
  const names = [...pairs.keys()].map((name) => name.replaceAll(ESCAPED, '\\$&')).join('|');
  const anywhere = new RegExp(names, 'g');
  const withPrefix = new RegExp(`${names}|(?<![A-Za-z0-9])${from.keyPrefix}(?![A-Za-z0-9])`, 'g');
  // The short prefix also occurs by chance in the checksums of a lock file.
  return (file, text) =>
    text.replaceAll(
      file.endsWith('package-lock.json') ? anywhere : withPrefix,
      (found) => pairs.get(found) ?? to.keyPrefix,
    );
}
