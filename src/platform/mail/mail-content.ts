/** The context of an event, as a mail may show it. Instants are ISO 8601. */
export interface MailContext {
  at: string;
  device?: string | null;
  ip?: string | null;
  country?: string | null;
}

/** The content of a mail before it is rendered as text and HTML. */
export interface MailContent {
  subject: string;
  /** The link of a mail, if any, follows the first paragraph. */
  paragraphs: string[];
}

/** Quotes untrusted text. */
export function quoted(text: string): string {
  return `“${text}”`;
}

/** The context of an event as lines of a mail. Unknown facts are omitted. */
export function contextLines({ at, device, ip, country }: MailContext): string {
  const facts = [
    ['When', at],
    ['Device', device && quoted(device)],
    ['IP address', ip],
    ['Country', country],
  ];
  return facts
    .filter(([, value]) => value)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');
}
