/**
 * `npm run doctor [-- <folder>]` says which security advisories of the template concern this product, and whether Node is
 * new enough. `<folder>` is a newer checkout of the template, or its folder `advisories`. Ends with 1 when there is
 * something to do, and with 2 when it cannot tell.
 */
import { readFileSync } from 'node:fs';
import { compare, judge, readAdvisories } from './advisories.mjs';
import { readManifest } from './manifest.mjs';

const WORDS = {
  affected: 'AFFECTED',
  edited: 'LOOK: you have edited or moved a faulty file, so a person has to compare it',
};

try {
  const [folder = 'advisories'] = process.argv.slice(2);
  const faults = [...nodeFaults(process.versions.node), ...advisoryFaults(process.cwd(), folder)];
  for (const fault of faults) console.log(fault);
  if (faults.length > 0) process.exitCode = 1;
} catch (error) {
  console.error(`doctor: ${error.message}`);
  process.exitCode = 2;
}

function advisoryFaults(product, folder) {
  const manifest = readManifest(product);
  const advisories = readAdvisories(folder);
  const open = advisories
    .filter(({ id }) => !manifest.reviewed.includes(id))
    .map((advisory) => ({ advisory, ...judge(product, manifest, advisory) }))
    .filter(({ status }) => status !== 'fixed');
  console.log(
    `${advisories.length} advisories, ${open.length} of them concern this product (made of ${manifest.template.version}).`,
  );
  return open.map(({ advisory, status, files }) => textOf(advisory, status, files));
}

function textOf({ id, title, severity, fixed, action }, status, files) {
  const lines = files.map(
    (file) => `  ${file.path}: ${file.status === 'affected' ? 'as it was delivered' : 'edited or moved'}`,
  );
  return [
    `\n${id} (${severity}): ${title}`,
    `  ${WORDS[status]}`,
    ...lines,
    `  fixed in ${fixed}`,
    `  ${action}`,
  ].join('\n');
}

/** `engines` of package.json: alternatives such as `^22.13.0` and `>=24.11.0`. */
function nodeFaults(version) {
  const { node } = JSON.parse(readFileSync('package.json', 'utf8')).engines;
  const isEnough = node.split('||').some((alternative) => {
    const [, kind, floor] = /^\s*(\^|>=)(\S+)\s*$/.exec(alternative);
    const isSameMajor = version.split('.')[0] === floor.split('.')[0];
    return compare(version, floor) >= 0 && (kind === '>=' || isSameMajor);
  });
  return isEnough ? [] : [`\nNode ${version} is too old or has no support: use ${node}.`];
}
