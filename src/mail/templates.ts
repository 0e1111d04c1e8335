/** What each mail is told. Instants are ISO 8601; the rest may have been typed by anybody. */
export interface TemplateData {
  new_device: Circumstances;
  refresh_reuse: Circumstances;
  suspicious: Circumstances & { signal: string };
  session_ended_as_suspicious: Circumstances & { signal: string };
}
export type TemplateName = keyof TemplateData;

export interface Circumstances {
  at: string;
  device?: string | null;
  ip?: string | null;
  country?: string | null;
}

interface Written {
  subject: string;
  paragraphs: string[];
}

const WRITTEN: { [Name in TemplateName]: (data: TemplateData[Name]) => Written } = {
  new_device: (data) => ({
    subject: 'A new device has logged in',
    paragraphs: [
      'Somebody has logged in to your account from a device that was not used before.',
      where(data),
      'If it was you, there is nothing to do. If not, end that session and change your password.',
    ],
  }),
  refresh_reuse: (data) => ({
    subject: 'A copy of your login was used, and has been ended',
    paragraphs: [
      'A login of yours was shown from two places, as happens when it has been copied. We have ended it on both.',
      where(data),
      'Log in again. If you do not know this place, change your password and look through your devices.',
    ],
  }),
  suspicious: (data) => ({
    subject: 'Your login was used in an unusual way',
    paragraphs: [
      `A login of yours looks different than before: ${data.signal}.`,
      where(data),
      'If it was you, there is nothing to do. If not, end that session and change your password.',
    ],
  }),
  session_ended_as_suspicious: (data) => ({
    subject: 'We have ended a login of yours',
    paragraphs: [
      `A login of yours looked different than before: ${data.signal}. We have ended it, to be safe.`,
      where(data),
      'If it was you, log in again. If not, change your password and look through your devices.',
    ],
  }),
};

/** In plain text and HTML. */
export function render<Name extends TemplateName>(
  template: Name,
  data: TemplateData[Name],
): { subject: string; text: string; html: string } {
  const { subject, paragraphs } = WRITTEN[template](data);
  const lines = paragraphs.filter(Boolean);
  const html = lines.map((line) => `<p>${escape(line).replaceAll('\n', '<br>')}</p>`).join('\n');
  return { subject, text: lines.join('\n\n'), html: `<!doctype html><meta charset="utf-8">\n${html}` };
}

function where({ at, device, ip, country }: Circumstances): string {
  const facts = [
    ['When', at],
    ['Device', device],
    ['Address', ip],
    ['Country', country],
  ];
  return facts
    .filter(([, value]) => value)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
