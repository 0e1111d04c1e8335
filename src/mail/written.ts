/** Under which circumstances something happened, as the person concerned may be told. Instants are ISO 8601. */
export interface Circumstances {
  at: string;
  device?: string | null;
  ip?: string | null;
  country?: string | null;
}

/** A mail before it is text and HTML. */
export interface Written {
  subject: string;
  /** A mail's link, where it has one, stands after the first. */
  paragraphs: string[];
}

/** Marks text that other people wrote as theirs. */
export function quoted(text: string): string {
  return `“${text}”`;
}

export function where({ at, device, ip, country }: Circumstances): string {
  const facts = [
    ['When', at],
    ['Device', device && quoted(device)],
    ['Address', ip],
    ['Country', country],
  ];
  return facts
    .filter(([, value]) => value)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');
}
