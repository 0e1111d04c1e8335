import ts from 'typescript';

const ID = '[A-Z]{2,4}-\\d{2}';
const TAG = new RegExp(`\\[(${ID}(?:, ${ID})*)\\]$`);
const ANY_ID = new RegExp(`\\b${ID}\\b`, 'g');
/** `it`, `describeUserAgent.each(…)`, `describeWithRedis`: every function that takes a title and a function. */
const CALLEE = /^(x|f)?(it|test|describe)(?![a-z])/;

/**
 * A test, or a group of them, whose title ends with ids of rows: `… [TOK-04, TOK-05]`.
 * @typedef {{ file: string, title: string, rows: string[], tests: number }} Tagged
 */

/**
 * Reads titles from the source, without running it.
 * @param {string} file its path, as the page is to show it
 * @param {string} text
 * @returns {{ tagged: Tagged[], faults: string[] }}
 */
export function taggedIn(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const tagged = [];
  const faults = [];

  /** @returns how many tests there are in `node` */
  const visit = (node, outer) => {
    const call = asTest(node);
    if (!call) return sum(node, (child) => visit(child, outer));
    const at = `${file}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
    const [, list] = TAG.exec(call.title) ?? [];
    const title = [...outer, call.title.replace(TAG, '').trimEnd()].join(' › ');
    const rows = list?.split(', ') ?? [];
    if ((call.title.match(ANY_ID) ?? []).length > rows.length)
      faults.push(`${at}: ids stand at the end of a title, as in "[TOK-04, TOK-05]": ${call.title}`);
    const tests = call.isGroup ? sum(call.body, (child) => visit(child, [...outer, bare(call.title)])) : 1;
    if (rows.length > 0) {
      if (tests === 0) faults.push(`${at}: there is no test in it: ${title}`);
      if (call.isOff) faults.push(`${at}: is not run: ${title}`);
      if (!/\bexpect|\bassert/.test(call.body?.getText() ?? ''))
        faults.push(`${at}: expects nothing: ${title}`);
      tagged.push({ file, title, rows, tests });
    }
    return tests;
  };
  visit(source, []);
  return { tagged, faults };
}

function asTest(node) {
  if (!ts.isCallExpression(node)) return undefined;
  // A call of `each` has a table as its argument; the call of its result has the title.
  if (node.expression.getText().endsWith('.each')) return undefined;
  const [name] = /^[\w.]+/.exec(node.expression.getText()) ?? [''];
  const kind = CALLEE.exec(name);
  const title = node.arguments.find(ts.isStringLiteralLike) ?? node.arguments.find(ts.isTemplateExpression);
  const body = node.arguments.find(
    (argument) => ts.isArrowFunction(argument) || ts.isFunctionExpression(argument),
  );
  if (!kind || !title) return undefined;
  return {
    title: ts.isStringLiteralLike(title) ? title.text : title.getText().slice(1, -1),
    isGroup: kind[2] === 'describe',
    isOff: kind[1] === 'x' || /\.(skip|todo)\b/.test(name),
    body,
  };
}

const bare = (title) => title.replace(TAG, '').trimEnd();

function sum(node, count) {
  let total = 0;
  if (node) ts.forEachChild(node, (child) => void (total += count(child)));
  return total;
}
