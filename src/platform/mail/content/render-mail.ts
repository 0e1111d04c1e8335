import { quoted, type ContextLines, type MailTemplate } from '../define-mail.js';
import { inertData } from '../inert-text.js';
import { countryName, instantText } from '../../runtime/locale.js';
import { layOut, type Fact } from './mail-layout.js';
import { textsOf, type MailTexts } from './translate-mail.js';

/** The content of a mail as it is sent. */
export interface RenderedMail {
  subject: string;
  text: string;
  html: string;
}

export interface RenderOptions {
  /** Empty for mails without a link. */
  link?: string;
  /** The language tags of the recipient, the preferred one first. */
  locales?: readonly string[];
}

/** Renders a mail as plain text and HTML, in the first of the languages that it has. */
export function render<Data extends object>(
  template: MailTemplate<Data>,
  data: NoInfer<Data>,
  { link = '', locales = [] }: RenderOptions = {},
): RenderedMail {
  const texts = textsOf(template, locales);
  const { language, labels } = texts;
  const content = texts.write(inertData(data) as never);
  const { subject, button = labels.open, reason = labels.reason } = content;
  const [opening = '', ...rest] = content.paragraphs
    .filter(Boolean)
    .map((part) => (typeof part === 'string' ? part : factsOf(part, texts)));
  const lines = [opening, link, ...rest, reason].filter((part) => part.length > 0);
  const html = layOut({
    language,
    subject,
    opening,
    action: link ? { link, button, copyLink: labels.copyLink } : undefined,
    rest,
    reason,
  });
  return { subject, text: lines.map(plain).join('\n\n'), html };
}

/** The known facts of a context, with labels in the language of the mail. */
function factsOf({ context }: ContextLines, { labels, locale }: MailTexts): Fact[] {
  const { at, device, ip, country } = context;
  const facts: (readonly [label: string, value?: string | null])[] = [
    [labels.when, instantText(at, locale)],
    [labels.device, device && quoted(device)],
    [labels.ipAddress, ip],
    [labels.country, country && countryName(country, locale)],
  ];
  return facts.filter((fact): fact is Fact => Boolean(fact[1]));
}

function plain(part: string | Fact[]): string {
  return typeof part === 'string' ? part : part.map(([label, value]) => `${label}: ${value}`).join('\n');
}
