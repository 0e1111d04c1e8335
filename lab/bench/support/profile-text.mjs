import { fileURLToPath } from 'node:url';

const MOST = 60;
const IDLE = new Set(['(idle)', '(root)']);

/**
 * A profile of V8 as text: time by package and by function, without waiting.
 * @param {object} profile as --cpu-prof writes it
 * @param {{ title: string, tree: string, requests: number, window: { from: number, to: number } }} about
 */
export function profileText({ nodes, samples, timeDeltas, startTime }, { title, tree, requests, window }) {
  const selfOf = new Map();
  let at = startTime;
  samples.forEach((id, index) => {
    at += timeDeltas[index];
    if (at >= window.from && at <= window.to) add(selfOf, id, timeDeltas[index]);
  });
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const label = (node) => labelOf(node.callFrame, tree);
  const [functions, packages, totals] = [new Map(), new Map(), new Map()];
  let busy = 0;
  for (const node of nodes) {
    const self = selfOf.get(node.id) ?? 0;
    if (self === 0 || IDLE.has(node.callFrame.functionName)) continue;
    busy += self;
    add(functions, label(node).full, self);
    add(packages, label(node).room, self);
    // Once for each function on the stack, however deep it recurs.
    const seen = new Set();
    for (let at = node.id; at !== undefined; at = parents.get(at)) seen.add(label(byId.get(at)).full);
    for (const full of seen) add(totals, full, self);
  }
  const table = (times) =>
    [...times]
      .sort(([, a], [, b]) => b - a)
      .slice(0, MOST)
      .map(([name, time]) => {
        const share = ((time * 100) / busy).toFixed(1).padStart(5);
        return `${share} % ${(time / requests).toFixed(2).padStart(7)} µs  ${name}`;
      })
      .join('\n');
  return [
    `${title}: ${(busy / requests).toFixed(1)} µs each`,
    `By package, own time\n${table(packages)}`,
    `By function, own time\n${table(functions)}`,
    `By function, with all that it called\n${table(totals)}`,
    '',
  ].join('\n\n');
}

function add(times, name, time) {
  times.set(name, (times.get(name) ?? 0) + time);
}

/** The origin of a function, without the folders of this machine. */
function labelOf({ functionName, url, lineNumber }, tree) {
  const name = functionName || '(anonymous)';
  if (!url) return { full: name, room: name.startsWith('(') ? name : 'V8 and native' };
  if (url.startsWith('node:')) return { full: `${name} ${url}:${lineNumber + 1}`, room: 'node' };
  const path = (url.startsWith('file:') ? fileURLToPath(url) : url).replace(`${tree}/`, '');
  const [, scoped] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path) ?? [];
  const short = path.replace(/^.*node_modules\//, '');
  return {
    full: `${name} ${short}:${lineNumber + 1}`,
    room: scoped ?? path.split('/').slice(0, 2).join('/'),
  };
}
