import { z } from 'zod';
import { canonicalLocale } from '../runtime/locale.js';
import { milliseconds } from './duration.js';

/** One environment variable: its meaning, its allowed values and its default. */
export interface Setting<T> {
  doc: string;
  /** The allowed values with their unit, for people. */
  allowed: string;
  /** As written in the environment. A function if the default depends on NODE_ENV. */
  fallback?: string | ((production: boolean) => string | undefined);
  /** The default for the documentation, if the value itself would say too little. */
  fallbackDoc?: string;
  /** If true, the value is never printed, not even in an error. */
  secret?: boolean;
  /** The value without the secret in it, for a setting of which the rest may be shown. */
  redact?: (text: string) => string;
  parse: z.ZodType<T, string>;
}

type Details = Pick<Setting<unknown>, 'fallback' | 'fallbackDoc' | 'secret'>;

/** A duration such as `15m`, in milliseconds, within bounds. */
export function duration(
  doc: string,
  { min, max, ...rest }: { min: string; max: string } & Details,
): Setting<number> {
  return {
    doc,
    allowed: `a duration from ${min} to ${max}`,
    ...rest,
    parse: z.string().transform((value, context) => {
      try {
        const ms = milliseconds(value);
        if (ms >= milliseconds(min) && ms <= milliseconds(max)) return ms;
        context.addIssue('is out of range');
      } catch (error) {
        context.addIssue((error as Error).message);
      }
      return z.NEVER;
    }),
  };
}

/** A whole number within bounds. */
export function integer(
  doc: string,
  { min, max, ...rest }: { min: number; max: number } & Details,
): Setting<number> {
  return {
    doc,
    allowed: `a whole number from ${min} to ${max}`,
    ...rest,
    parse: z
      .string()
      .regex(/^\d{1,10}$/, 'is not a whole number')
      .transform(Number)
      .refine((value) => value >= min && value <= max, 'is out of range'),
  };
}

/** A number from 0 to 1. */
export function share(doc: string, details: Details = {}): Setting<number> {
  return {
    doc,
    allowed: 'a number from 0 to 1',
    ...details,
    parse: z
      .string()
      .regex(/^\d(\.\d{1,6})?$/, 'is not a number from 0 to 1')
      .transform(Number)
      .refine((value) => value <= 1, 'is not a number from 0 to 1'),
  };
}

/** One of several words. */
export function choice<const T extends string>(
  doc: string,
  values: readonly T[],
  details: Details = {},
): Setting<T> {
  return {
    doc,
    allowed: values.map((value) => `\`${value}\``).join(' or '),
    ...details,
    parse: z.enum(values, `is not one of the allowed values`) as z.ZodType<T, string>,
  };
}

/** `true` or `false`. */
export function flag(doc: string, details: Details = {}): Setting<boolean> {
  return {
    doc,
    allowed: '`true` or `false`',
    ...details,
    parse: z
      .enum(['true', 'false'], 'is neither true nor false')
      .transform((value) => value === 'true') as z.ZodType<boolean, string>,
  };
}

/** A URL with one of several protocols. */
export function url(doc: string, protocols: string[], details: Details = {}): Setting<string | undefined> {
  return {
    doc,
    allowed: protocols.map((protocol) => `\`${protocol}//…\``).join(' or '),
    redact: withoutPassword,
    ...details,
    parse: z
      .string()
      .refine((value) => !SEVERAL_HOSTS.test(value), {
        error: 'names several servers; name one, for example an address that follows the primary',
        abort: true,
      })
      .refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), {
        error: 'is not such a URL',
        abort: true,
      })
      .refine(isDecodable, STRAY_PERCENT),
  };
}

/** In the place of the host, after the credentials, or in the parameter `host`. */
const SEVERAL_HOSTS = /^[a-z]+:\/\/(?:[^/?#]*@)?[^/?#@]*,[^/?#@]*(?:[/?#]|$)|[?&]host=[^&#]*(?:,|%2c)/i;

/** Parameters may contain a password too, so their values are hidden. */
function withoutPassword(text: string): string {
  const url = new URL(text);
  // A password with an unescaped `/`, `?` or `#` ends in one of these parts.
  if (`${url.pathname}${url.search}${url.hash}`.includes('@')) return '(hidden)';
  if (url.password) url.password = 'hidden';
  for (const name of new Set(url.searchParams.keys())) url.searchParams.set(name, 'hidden');
  return url.href;
}

const STRAY_PERCENT = 'has a `%` that does not begin an escape sequence; write `%25`';

/** Drivers throw on a malformed escape, which occurs in passwords that were pasted without escaping. */
function isDecodable(url: string): boolean {
  try {
    decodeURIComponent(url);
    return true;
  } catch {
    return false;
  }
}

/** A base URL: links are made by adding a path to it. */
export function baseUrl(doc: string, details: Details = {}): Setting<string | undefined> {
  const one = url(doc, ['https:', 'http:'], details);
  return {
    ...one,
    redact: (text) => text, // it has no password
    parse: z
      .string()
      .refine((value) => one.parse.safeParse(value).success && !/[?#@\s]/.test(value), 'is not such a URL'),
  };
}

/**
 * One URL whose path may only be the number of a database, or several nodes of a cluster. Nodes share their scheme,
 * their credentials and database 0.
 */
export function urls(doc: string, protocols: string[], details: Details = {}): Setting<string[] | undefined> {
  const one = url(doc, protocols, details);
  return {
    ...one,
    allowed: `${one.allowed}, with the number of a database as its only path, or several nodes of a cluster, separated by commas`,
    redact: (text) => itemsOf(text).map(withoutPassword).join(','),
    parse: z
      .string()
      .transform(itemsOf)
      .pipe(z.array(one.parse as z.ZodType<string, string>))
      .refine((items) => items.every((item) => /^(\/\d*)?$/.test(new URL(item).pathname)), {
        error: 'has a path that is not the number of a database',
        abort: true,
      })
      .refine(areNodesOfOne, 'has nodes with different schemes, credentials or databases'),
  };
}

/** A comma may also be part of a password. */
function itemsOf(text: string): string[] {
  return text.split(/,(?=\s*\w+:\/\/)/).map((item) => item.trim());
}

function areNodesOfOne(items: string[]): boolean {
  const [first, ...others] = items.map((item) => new URL(item)) as [URL, ...URL[]];
  return others.every(
    (node) =>
      node.protocol === first.protocol &&
      ['', credentialsOf(first)].includes(credentialsOf(node)) &&
      [first, node].every(({ pathname }) => ['', '/', '/0'].includes(pathname)),
  );
}

function credentialsOf({ username, password }: URL): string {
  return username || password ? `${username}:${password}` : '';
}

/** Text without spaces. */
export function word(doc: string, details: Details = {}): Setting<string> {
  return {
    doc,
    allowed: 'text without spaces',
    ...details,
    parse: z.string().regex(/^\S{1,500}$/, 'is empty or has spaces'),
  };
}

/** The name of a request header, in lower case as Node provides it. */
export function header(doc: string, details: Details = {}): Setting<string> {
  return {
    doc,
    allowed: 'the name of a request header',
    ...details,
    parse: z
      .string()
      .regex(/^[A-Za-z0-9-]{1,64}$/, 'is not the name of a header')
      .transform((name) => name.toLowerCase()),
  };
}

/** A part of the names of cookies. */
export function cookiePrefix(doc: string, details: Details = {}): Setting<string | undefined> {
  return {
    doc,
    allowed: '1 to 32 letters, digits, `-` or `_`, a letter or digit first and last',
    ...details,
    parse: z
      .string()
      .regex(/^(?=.{1,32}$)[a-z\d]+([_-]+[a-z\d]+)*$/i, 'is not allowed in the name of a cookie'),
  };
}

/** A secret: long enough that it cannot be guessed, and never printed. */
export function secret(doc: string, details: Details = {}): Setting<string | undefined> {
  return {
    doc,
    allowed: '20 to 200 characters without spaces',
    secret: true,
    ...details,
    parse: z.string().regex(/^\S{20,200}$/, 'has spaces, or is too short or too long'),
  };
}

/** A mail address, with or without a name. */
export function address(doc: string, details: Details = {}): Setting<string> {
  return {
    doc,
    allowed: 'an e-mail address such as `Your product <no-reply@example.com>`',
    ...details,
    parse: z.string().regex(/^([^<>\r\n]{1,100} )?<?[^\s<>@]+@[^\s<>@]+>?$/, 'is not an e-mail address'),
  };
}

/** A language tag (BCP 47), in its canonical spelling. */
export function languageTag(doc: string, details: Details = {}): Setting<string> {
  return {
    doc,
    allowed: 'a language tag such as `de` or `pt-BR`',
    ...details,
    parse: z.string().transform((value, context) => {
      const tag = canonicalLocale(value);
      if (tag !== undefined) return tag;
      context.addIssue('is not a language tag');
      return z.NEVER;
    }),
  };
}

const LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';
const DOMAIN = new RegExp(`^(?=.{1,253}$)(localhost|(${LABEL}\\.)+(?!\\d+$)${LABEL})$`);

/** A domain as in URLs: lower case, Punycode. Neither an IP address nor a top-level domain such as `com`. */
export function domain(doc: string, details: Details = {}): Setting<string | undefined> {
  return {
    doc,
    allowed: 'a domain such as `example.com`',
    ...details,
    parse: z.string().regex(DOMAIN, 'is not a domain'),
  };
}

const ADDRESS_LITERAL = /^\[(IPv6:)?[\da-f.:]+\]$/i;

/** The name with which an SMTP client introduces itself (RFC 5321 4.1.1.1). */
export function heloName(doc: string, details: Details = {}): Setting<string | undefined> {
  return {
    doc,
    allowed: 'a domain such as `app.example.com`, or an IP address such as `[192.0.2.1]`',
    ...details,
    parse: z
      .string()
      .refine(
        (value) => DOMAIN.test(value) || ADDRESS_LITERAL.test(value),
        'is neither a domain nor an IP address in brackets',
      ),
  };
}

/** A path in the file system. */
export function path(doc: string, details: Details = {}): Setting<string> {
  return {
    doc,
    allowed: 'a path',
    ...details,
    parse: z.string().refine((value) => !value.includes('\0'), 'is not a path'),
  };
}

/** Several items, separated by commas. */
export function list(
  doc: string,
  allowed: string,
  isItem: (item: string) => boolean,
  details: Details = {},
): Setting<string[]> {
  return {
    doc,
    allowed: `${allowed}, separated by commas`,
    fallback: '',
    fallbackDoc: 'none',
    ...details,
    parse: z
      .string()
      .transform((value) =>
        value
          .split(',')
          .map((item) => item.trim())
          .filter(Boolean),
      )
      .refine((items) => items.every(isItem), 'has an entry that is not allowed'),
  };
}

/** JSON of a schema. Its errors name the place, never a value. */
export function json<T>(doc: string, allowed: string, schema: z.ZodType<T>, details: Details): Setting<T> {
  return {
    doc,
    allowed,
    ...details,
    parse: z.string().transform((text, context) => {
      let value: unknown;
      try {
        value = JSON.parse(text);
      } catch {
        context.addIssue('is not JSON');
        return z.NEVER;
      }
      const parsed = schema.safeParse(value);
      if (parsed.success) return parsed.data;
      const { path, message } = parsed.error.issues[0]!;
      context.addIssue(`has a wrong entry at \`${path.map(String).join('.') || 'its top'}\`: ${message}`);
      return z.NEVER;
    }),
  };
}
