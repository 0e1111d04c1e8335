/** Security advisories of the template, and what they say about one product. `advisories/README.md` describes the format. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { hashOf } from './files.mjs';

/**
 * @typedef {object} Advisory
 * @property {string} id
 * @property {string} title
 * @property {'low' | 'moderate' | 'high' | 'critical'} severity
 * @property {string} introduced the first version with the fault
 * @property {string} fixed the first version without it
 * @property {string} action what the owner of a product does
 * @property {{ path: string, sha256: string[] }[]} [files] the faulty files: the hash of each affected content
 * @typedef {'affected' | 'edited' | 'fixed'} Status
 */

const SEVERITIES = ['low', 'moderate', 'high', 'critical'];
const ID = /^[A-Z][A-Z0-9-]+$/;
const VERSION = /^\d+\.\d+\.\d+$/;
const SHA256 = /^[0-9a-f]{64}$/;

/** @param {string} folder with `*.json`, or one that has a folder `advisories` @returns {Advisory[]} */
export function readAdvisories(folder) {
  const inside = join(folder, 'advisories');
  const place = existsSync(inside) ? inside : folder;
  if (!existsSync(place) || !statSync(place).isDirectory())
    throw new Error(`${folder} is no folder with advisories.`);
  const files = readdirSync(place).filter((file) => file.endsWith('.json'));
  return files.sort().map((file) => checked(JSON.parse(readFileSync(join(place, file), 'utf8')), file));
}

function checked(advisory, file) {
  const { id, title, severity, introduced, fixed, action, files = [] } = advisory;
  const isRight = {
    id: ID.test(id) && id === basename(file, '.json'),
    title: Boolean(title),
    severity: SEVERITIES.includes(severity),
    introduced: VERSION.test(introduced),
    fixed: VERSION.test(fixed),
    action: Boolean(action),
    files: files.every(
      ({ path, sha256 }) => path && sha256?.length > 0 && sha256.every((hash) => SHA256.test(hash)),
    ),
  };
  const wrong = Object.keys(isRight).filter((field) => !isRight[field]);
  if (wrong.length > 0)
    throw new Error(
      `${file} has wrong fields: ${wrong.join(', ')}. advisories/README.md says what is allowed.`,
    );
  return advisory;
}

/**
 * The hashes decide where an advisory has them: a product may be made of a commit between two versions.
 * @param {string} folder of the product
 * @param {import('./manifest.mjs').Manifest} manifest
 * @param {Advisory} advisory
 * @returns {{ status: Status, files: { path: string, status: Status }[] }}
 */
export function judge(folder, manifest, { introduced, fixed, files }) {
  if (!files) {
    const { version } = manifest.template;
    const isWithin = compare(version, introduced) >= 0 && compare(version, fixed) < 0;
    return { status: isWithin ? 'affected' : 'fixed', files: [] };
  }
  const judged = files.map(({ path, sha256 }) => ({
    path,
    status: statusOf(folder, manifest.files[path], path, sha256),
  }));
  const status = ['affected', 'edited'].find((one) => judged.some((file) => file.status === one)) ?? 'fixed';
  return { status, files: judged.filter((file) => file.status !== 'fixed') };
}

function statusOf(folder, hashes, path, affected) {
  // A file that the product was made without is a part that was removed.
  if (!hashes) return 'fixed';
  const [origin, written = origin] = hashes;
  if (!affected.includes(origin)) return 'fixed';
  const isUnchanged = existsSync(join(folder, path)) && hashOf(join(folder, path)) === written;
  return isUnchanged ? 'affected' : 'edited';
}

/** @returns {number} negative when `a` is older */
export function compare(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}
