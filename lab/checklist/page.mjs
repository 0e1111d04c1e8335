const SEVERITIES = { C: 'critical', H: 'high', M: 'medium', L: 'low' };

/**
 * @param {import('./run.mjs').Group[]} groups
 * @param {import('./titles.mjs').Tagged[]} tagged
 */
export function page(groups, tagged) {
  const rows = groups.flatMap((group) => group.rows);
  const kept = rows.filter(({ id }) => testsOf(id, tagged).length > 0);
  const notKept = rows.filter(({ notKept }) => notKept);
  const later = rows.filter(({ later }) => later);
  return fromHere(`# Security requirements and the tests that keep them

Written by \`npm run docs:security\` from [the requirements](../security/requirements.json) and the titles of the tests, which end with the ids of the rows
that they keep: \`… [TOK-04, TOK-05]\`. \`npm run check\` fails when a row has neither a test nor a reason, when a test names a row that there
is not, and when this page is old. \`npm run test:all -- -t 'TOK-04'\` runs the tests of a row.

${rows.length} requirements: ${kept.length} are kept by tests, ${notKept.length} are not kept, with a reason, ${later.length} come with a later release.
ASVS is OWASP ASVS 5.0, SP 800-63B-4 is NIST's, RFC 8725bis is the revision of RFC 8725. Severity: ${Object.entries(
    SEVERITIES,
  )
    .map(([letter, word]) => `${letter} ${word}`)
    .join(', ')}.

## Not kept

${notKept.map(({ id, severity, requirement, notKept }) => `- **${id}** (${SEVERITIES[severity]}): ${requirement} ${notKept.reason} ${notKept.instead}`).join('\n')}

${groups.map((group) => section(group, tagged)).join('\n\n')}
`);
}

/** The texts of the requirements link to pages beside them. */
const fromHere = (text) => text.replace(/\]\((?=[\w-]+\.md)/g, '](../security/');

function section({ title, rows }, tagged) {
  const lines = rows.map(
    (row) =>
      `| ${row.id} | ${row.severity} | ${cell(row.requirement)}<br>*${cell(row.source)}* | ${cell(keptBy(row, tagged))} |`,
  );
  return [`## ${title}`, '', '| | | requirement | kept by |', '|---|---|---|---|', ...lines].join('\n');
}

function keptBy({ id, note, notKept, later }, tagged) {
  if (notKept) return `not kept: ${notKept.reason} ${notKept.instead}`;
  if (later) return `later: ${later}`;
  const tests = testsOf(id, tagged).map(
    ({ file, title, tests }) => `\`${file}\`: ${title}${tests > 1 ? ` (${tests} tests)` : ''}`,
  );
  return [...tests, ...(note ? [`*${note}*`] : [])].join('<br>');
}

export function testsOf(id, tagged) {
  return tagged.filter(({ rows }) => rows.includes(id));
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
