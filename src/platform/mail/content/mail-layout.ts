import { PRODUCT } from '../../../product.js';
import { directionOf } from '../../runtime/locale.js';

/** A label and its value. */
export type Fact = readonly [label: string, value: string];

/** A mail before it is laid out. All texts are plain text: the layout escapes them. */
export interface MailParts {
  language: string;
  subject: string;
  opening: string | Fact[];
  action: { link: string; button: string; copyLink: string } | undefined;
  rest: (string | Fact[])[];
  reason: string;
}

const FONT = `font-family: system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif`;

/**
 * Inline styles are for programs that drop `<style>`, and give the light appearance. Each colour also has a class, which
 * {@link DARK} overrides.
 */
const STYLE = {
  page: `margin: 0; padding: 24px 12px; background-color: #f3f4f6; ${FONT}`,
  sheet: 'max-width: 600px; margin: 0 auto',
  product: 'padding: 0 4px 16px; font-size: 15px; font-weight: 600; color: #4b5563',
  card: 'padding: 32px 28px 12px; background-color: #ffffff; border: 1px solid #d9dde3; border-radius: 8px',
  heading: 'margin: 0 0 20px; font-size: 22px; line-height: 1.3; font-weight: 600; color: #111827',
  paragraph: 'margin: 0 0 20px; font-size: 16px; line-height: 1.55; color: #1f2937',
  facts: 'width: 100%; margin: 0 0 20px; border-collapse: collapse; font-size: 15px; line-height: 1.5',
  label:
    'padding: 8px 0; border-top: 1px solid #e5e7eb; vertical-align: top; font-weight: 400; color: #4b5563',
  value: 'padding: 8px 0; border-top: 1px solid #e5e7eb; color: #111827; overflow-wrap: anywhere',
  button: `display: inline-block; padding: 12px 24px; border-radius: 6px; background-color: #1d4ed8; color: #ffffff; font-size: 16px; font-weight: 600; text-decoration: none`,
  note: 'margin: 0 0 4px; font-size: 13px; line-height: 1.5; color: #4b5563',
  address:
    'margin: 0 0 20px; font-size: 13px; line-height: 1.5; overflow-wrap: anywhere; word-break: break-all',
  link: 'color: #1d4ed8',
  reason: 'margin: 0; padding: 16px 4px 0; font-size: 13px; line-height: 1.5; color: #4b5563',
  preview: 'display: none; max-height: 0; overflow: hidden',
};

/** For mail programs that show a dark appearance. The contrast of each text is at least 4.5 to 1 in both. */
const DARK = `
:root { color-scheme: light dark; supported-color-schemes: light dark; }
@media (prefers-color-scheme: dark) {
  .page { background-color: #111827 !important; }
  .card { background-color: #1f2937 !important; border-color: #374151 !important; }
  .strong { color: #f9fafb !important; }
  .text { color: #e5e7eb !important; }
  .quiet { color: #b6bdc9 !important; }
  .line { border-color: #374151 !important; }
  .link { color: #93c5fd !important; }
}
`;

/**
 * Lays out a mail as HTML: one column of at most 600 px, in the appearance that the mail program asks for. It loads
 * nothing, so opening it tells the sender nothing, and it has no link but that of `action`.
 */
export function layOut({ language, subject, opening, action, rest, reason }: MailParts): string {
  const [heading, lang, dir] = [escape(subject), escape(language), directionOf(language)];
  const preview = typeof opening === 'string' ? escape(opening) : '';
  const paragraph = (part: string | Fact[]) => partOf(part, dir);
  return `<!doctype html>
<html lang="${lang}" dir="${dir}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no">
<title>${heading}</title>
<style>${DARK}</style>
</head>
<body class="page" style="${STYLE.page}">
<div style="${STYLE.preview}">${preview}</div>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr><td align="center">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="${STYLE.sheet}">
<tr><td class="quiet" style="${STYLE.product}">${escape(PRODUCT.name)}</td></tr>
<tr><td class="card" style="${STYLE.card}">
<h1 class="strong" style="${STYLE.heading}">${heading}</h1>
${[paragraph(opening), action && actionOf(action), ...rest.map(paragraph)].filter(Boolean).join('\n')}
</td></tr>
<tr><td class="quiet" style="${STYLE.reason}">${escape(reason)}</td></tr>
</table>
</td></tr></table>
</body>
</html>
`;
}

function partOf(part: string | Fact[], dir: 'ltr' | 'rtl'): string {
  if (typeof part !== 'string')
    return `<table style="${STYLE.facts}">\n${part.map((fact) => rowOf(fact, dir)).join('\n')}\n</table>`;
  return `<p class="text" style="${STYLE.paragraph}">${escape(part).replaceAll('\n', '<br>')}</p>`;
}

/** A value has its own direction: a device may have a Latin name in a Hebrew mail. */
function rowOf([label, value]: Fact, dir: 'ltr' | 'rtl'): string {
  const [start, end] = dir === 'ltr' ? ['left', 'right'] : ['right', 'left'];
  const style = `${STYLE.label}; text-align: ${start}; padding-${end}: 16px`;
  const name = `<th scope="row" class="quiet line" style="${style}">${escape(label)}</th>`;
  return `<tr>${name}<td class="strong line" style="${STYLE.value}"><bdi>${escape(value)}</bdi></td></tr>`;
}

/** The address follows the button, so that the reader can see where it leads. */
function actionOf({ link, button, copyLink }: NonNullable<MailParts['action']>): string {
  const address = escape(link);
  return `<p style="${STYLE.paragraph}"><a href="${address}" style="${STYLE.button}">${escape(button)}</a></p>
<p class="quiet" style="${STYLE.note}">${escape(copyLink)}</p>
<p style="${STYLE.address}"><a href="${address}" class="link" style="${STYLE.link}" dir="ltr">${address}</a></p>`;
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Escapes text for HTML, in content and in attributes. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
