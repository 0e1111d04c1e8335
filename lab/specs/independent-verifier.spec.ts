import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeWithPython, runPython } from '../../test/support/python.js';

interface Vectors {
  chain: { values: string[] };
  scenarios: { name: string; steps: Record<string, unknown>[] }[];
}

const RUNNER = 'lab/independent-verifier/run_vectors.py';
const VECTORS = 'packages/verifier/test/vectors.json';

function run(...args: string[]) {
  const { status, stdout, stderr } = runPython(RUNNER, ...args);
  return { status, lines: stdout.trimEnd().split('\n'), stderr };
}

/** The text with another character of the same alphabet at this place: base64url, digits and letters stay what they are. */
function changed(text: string, index: number): string {
  const other = /[1-9]/.test(text[index]!) ? '0' : text[index] === 'A' ? 'B' : 'A';
  return text.slice(0, index) + other + text.slice(index + 1);
}

/** The Python of `lab/independent-verifier` was written from `docs/reference/revocation-feed.md` alone. */
describeWithPython('a verifier in Python, written from the page of the feed protocol', () => {
  const original = JSON.parse(readFileSync(VECTORS, 'utf8')) as Vectors;
  const expectations = original.scenarios.flatMap(({ steps }) => steps).filter((step) => !('now' in step));
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'drawbridge-test-vectors-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('The verifier in Python gives the expected result at each step of all test vectors', () => {
    const { status, lines, stderr } = run();
    expect({ stderr, different: lines.filter((line) => line.startsWith('DIFFERENT')) }).toEqual({
      stderr: '',
      different: [],
    });
    expect(status).toBe(0);
    // The chain is one result more, and the last line counts them.
    expect(lines.filter((line) => line.startsWith('ok '))).toHaveLength(expectations.length + 1);
    expect(lines.at(-1)).toBe(
      `${original.scenarios.length} scenarios, ${expectations.length + 1} results, 0 different`,
    );
  });

  it.each<[string, (vectors: Vectors) => void, RegExp]>([
    ['a chain value', (v) => change(v.chain.values, 2, 0), /^DIFFERENT chain:/],
    ['the claims of a snapshot', (v) => change(snapshot(v)['statement'], 1, 40), /step 4, snapshot/],
    ['the signature of a snapshot', (v) => change(snapshot(v)['statement'], 2, 0), /step 4, snapshot/],
    ['the cursor of a snapshot', (v) => change(snapshot(v), 'cursor', 0), /step 4, snapshot/],
    ['the entries of a snapshot', (v) => change(snapshot(v), 'entries', 8), /step 4, snapshot/],
    ['the id of an event', (v) => change(event(v), 'id', 0), /step 8, event/],
    ['the data of an event', (v) => change(event(v), 'data', 8), /step 11, event/], // the chain of the next heartbeat
    ['the claims of a token', (v) => change(token(v), 1, 100), /step 7, request/],
    ['the signature of a token', (v) => change(token(v), 2, 0), /step 7, request/],
  ])('The verifier in Python finds one changed byte in %s', (_, alter, different) => {
    const vectors = structuredClone(original);
    alter(vectors);
    const file = join(folder, 'changed.json');
    writeFileSync(file, JSON.stringify(vectors));
    const { status, lines, stderr } = run(file);
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(lines.find((line) => line.startsWith('DIFFERENT'))).toMatch(different);
  });
});

/** A part of step `number` of the first scenario, which the changes need: a snapshot, an event, and an accepted token. */
function part(vectors: Vectors, number: number, name: string): Record<string, unknown> {
  return vectors.scenarios[0]!.steps[number - 1]![name] as Record<string, unknown>;
}
const snapshot = (vectors: Vectors) => part(vectors, 4, 'snapshot');
const event = (vectors: Vectors) => part(vectors, 8, 'event');
const token = (vectors: Vectors) => part(vectors, 7, 'request')['token'];

function change(parts: unknown, key: string | number, index: number): void {
  const texts = parts as Record<string | number, string>;
  texts[key] = changed(texts[key]!, index);
}
