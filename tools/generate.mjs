/**
 * Creates a feature in `src/<name>` from the templates in `tools/feature-template`: a table of things that belong to a
 * user, with routes that list, create, read, change and delete them. `npm run generate -- notes --tier strict`.
 *
 * The templates are code that compiles: edit them, and `npm run check` checks them. A file `x.public.y.ts` replaces
 * `x.y.ts` for the tier `public`. These words stand for the name:
 * - `Samples`, `Sample`: classes. `samples`, `sample`: variables.
 * - `samples-name`, `sample-name`: files and paths. `samples_name`: the table. `samples text`, `sample text`: prose.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import prettier from 'prettier';

const TEMPLATES = 'tools/feature-template';
const FEATURES = 'src/features.ts';
const TIERS = ['public', 'access', 'session', 'strict'];
const USAGE =
  'npm run generate -- <name in the plural> [--tier public|access|session|strict] [--singular <name>]';
/** Words of SQL that may end a name and cannot be a table. */
const RESERVED = /^(analyse|authorization|columns|current_.*|references|rows|tables|user|values|windows)$/;

class Refusal extends Error {}

async function generate({ plural, singular, tier }) {
  const files = templatesOf(tier);
  const names = namesOf(plural, singular);
  refuseTaken(plural, names, files);
  const time = nextMigration();
  for (const [path, text] of files) {
    const target = join('src', plural, rename(path, names).replace(/\d{13}/, time));
    mkdirSync(dirname(target), { recursive: true });
    await write(target, rename(withTier(text, tier), names).replaceAll(/\d{13}/g, time));
    console.log(`created ${target}`);
  }
  const line = `export { ${names.Samples}Module } from './${plural}/${plural}.module.js';\n`;
  writeFileSync(FEATURES, readFileSync(FEATURES, 'utf8') + line);
  console.log(`added ${names.Samples}Module to ${FEATURES}

Next:
  npm test -- src/${plural}     runs its tests
  npm run client:types     beside npm start, tells the client its routes`);
}

function readArguments() {
  const { values, positionals } = parse();
  const [plural, ...others] = positionals;
  const { tier, singular = singularOf(plural ?? '') } = values;
  if (!plural || others.length > 0) throw new Refusal('Give the feature one name.');
  for (const name of [plural, singular])
    if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name.length > 40)
      throw new Refusal(
        `"${name}" is not a name: use at most 40 lower-case letters, digits and single hyphens, a letter first.`,
      );
  if (!TIERS.includes(tier)) throw new Refusal(`"${tier}" is not a tier: ${TIERS.join(', ')}.`);
  if (singular === plural || !isVariable(camel(singular)))
    throw new Refusal(`Name one of the ${plural}: --singular <name>. "${singular}" cannot be used.`);
  return { plural, singular, tier };
}

function parse() {
  const options = { tier: { type: 'string', default: 'session' }, singular: { type: 'string' } };
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    throw new Refusal(error.message);
  }
}

function singularOf(plural) {
  if (plural.endsWith('ies')) return plural.replace(/ies$/, 'y');
  return plural.replace(/(?<=ss|sh|ch|x)es$|s$/, '');
}

/** Words such as `class` name no variable. */
function isVariable(word) {
  try {
    return Boolean(new Function(`'use strict'; const ${word} = 0;`));
  } catch {
    return false;
  }
}

const camel = (name) => name.replaceAll(/-(.)/g, (_, letter) => letter.toUpperCase());
const pascal = (name) => camel(`-${name}`);

/** The text for each word of the templates. Longer words come first, because a word may begin with another one. */
function namesOf(plural, singular) {
  const article = /^([aeio]|u(?!se|ni))/.test(singular) ? 'an' : 'a';
  const one = `${article} ${singular.replaceAll('-', ' ')}`;
  return { 'a sample text': one, ...forms('samples', plural), ...forms('sample', singular) };
}

function forms(word, name) {
  return {
    [`${word}-name`]: name,
    [`${word}_name`]: name.replaceAll('-', '_'),
    [`${word} text`]: name.replaceAll('-', ' '),
    [word[0].toUpperCase() + word.slice(1)]: pascal(name),
    [word]: camel(name),
  };
}

function rename(text, names) {
  return Object.entries(names).reduce((renamed, [word, name]) => renamed.replaceAll(word, name), text);
}

/** Path and text of each file. */
function templatesOf(tier) {
  const paths = readdirSync(TEMPLATES, { recursive: true }).filter((path) => path.endsWith('.ts'));
  const isOfTier = new RegExp(`\\.(${TIERS.join('|')})(?=\\.)`);
  const plain = paths.filter((path) => !isOfTier.test(path));
  const texts = new Map(plain.map((path) => [path, read(path)]));
  for (const path of paths.filter((path) => path.includes(`.${tier}.`)))
    texts.set(path.replace(isOfTier, ''), read(path).replaceAll(`.${tier}.`, '.'));
  return texts;
}

const read = (path) => readFileSync(join(TEMPLATES, path), 'utf8');

function withTier(text, tier) {
  if (tier !== 'strict') return text;
  return text
    .replaceAll('@RequireSession()', `@RequireSession({ consistency: 'strict' })`)
    .replace('An ended session is refused on its next request.', 'PostgreSQL is read on every request.');
}

function refuseTaken(plural, names, files) {
  if (existsSync(join('src', plural))) throw new Refusal(`src/${plural} exists already.`);
  const source = readdirSync('src', { recursive: true })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(join('src', path), 'utf8'));
  const isFound = (text) => source.some((file) => file.includes(text));
  const table = names['samples_name'];
  if (RESERVED.test(table) || isFound(`create table ${table} (`))
    throw new Refusal(`A table cannot have the name ${table}: choose another name.`);
  if (isFound(`@Controller('${plural}`)) throw new Refusal(`The path /v1/${plural} is taken.`);
  if (isFound(`export { ${names.Samples}Module }`))
    throw new Refusal(`${FEATURES} has a ${names.Samples}Module already.`);
  const words = new Set([...files.values()].join('\n').match(/\w+/g));
  const taken = [names.Sample, names.Samples, names.sample, names.samples].find((name) => words.has(name));
  if (taken) throw new Refusal(`The code of a feature needs the name ${taken} itself: choose another name.`);
}

/** Migrations run in the order of their times. */
function nextMigration() {
  const times = readdirSync('src', { recursive: true }).map(
    (path) => /migrations\W(\d{13})-/.exec(path)?.[1] ?? '0',
  );
  return String(Math.max(Date.now(), ...times.map((time) => Number(time) + 1)));
}

/** A longer or shorter name changes where lines break. */
async function write(target, text) {
  const options = await prettier.resolveConfig(target);
  writeFileSync(target, await prettier.format(text, { ...options, parser: 'typescript' }));
}

try {
  await generate(readArguments());
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(`${error.message}\n\nUsage: ${USAGE}`);
  process.exitCode = 1;
}
