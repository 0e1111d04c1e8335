/** Keeps the lines of Markdown within their limit after a longer name has come into them. */
const MAX_LINE = 120; // as `npm run check:prose` checks
const BLOCK = /^\s*(#|\||>|[-*+] |\d+\. |```|<|!?\[[^\]]*\]:)/;

/** @param {string} text Markdown @returns {string} the same, with the words beyond the limit on the next line */
export function wrapLongLines(text) {
  const lines = text.split('\n');
  let isCode = false;
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index];
    if (/^\s*```/.test(line)) isCode = !isCode;
    if (isCode || line.length <= MAX_LINE || /^\s*(#|\||```)/.test(line)) continue;
    const space = line.lastIndexOf(' ', MAX_LINE);
    const indent = indentAfter(line);
    if (space <= indent.length) continue; // one long word, such as a link
    const rest = line.slice(space + 1);
    lines[index] = line.slice(0, space);
    const next = lines[index + 1] ?? '';
    if (next.trim() === '' || BLOCK.test(next)) lines.splice(index + 1, 0, indent + rest);
    else lines[index + 1] = `${indent}${rest} ${next.trimStart()}`;
  }
  return lines.join('\n');
}

/** The text of an item of a list continues below its first letter. */
function indentAfter(line) {
  const [, indent, marker] = /^(\s*)([-*+] |\d+\. )?/.exec(line);
  return indent + ' '.repeat((marker ?? '').length);
}
