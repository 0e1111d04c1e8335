import { createRequire } from 'node:module';
import type { LoggerService } from '@nestjs/common';
import { pino, type Logger, type LoggerOptions, type LevelWithSilent } from 'pino';

import { SERVICE } from '../runtime/version.js';

export const LOGGER = Symbol('LOGGER');
export type { Logger };

/**
 * Creates a logger with one JSON line per event, in a developer's terminal in a readable form. Headers, bodies and
 * query strings are never passed to it, so nothing has to be redacted.
 *
 * @param fields adds fields to each line
 */
export function createLogger(level: LevelWithSilent, pretty: boolean, fields?: () => object): Logger {
  const options: LoggerOptions = {
    level,
    base: SERVICE,
    timestamp: isoTime(),
    serializers: { err: describeError },
    formatters: { level: (label) => ({ level: label }) },
    ...(fields && { mixin: fields }),
  };
  if (pretty && isInstalled('pino-pretty')) {
    const readable = { translateTime: 'SYS:HH:MM:ss', ignore: 'requestId,trace_id,span_id,service,version' };
    return pino({ ...options, transport: { target: 'pino-pretty', options: readable } });
  }
  // A write costs more than a line, so about twenty lines are written at once, after at most 100 ms.
  const lines = pino.destination({ dest: 1, sync: true, minLength: 4_096, periodicFlush: 100 });
  process.once('exit', () => lines.flushSync());
  return pino(options, lines);
}

/** As pino's own, but formats each millisecond only once: many lines share it. */
function isoTime(): () => string {
  let of = 0;
  let text = '';
  return () => {
    const now = Date.now();
    if (now !== of) text = `,"time":"${new Date((of = now)).toISOString()}"`;
    return text;
  };
}

/** pino-pretty is a development dependency, which a production image does not have. */
function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/**
 * Errors of drivers contain connections, statements and their parameters. Only the fields that help to find the cause
 * are logged.
 */
function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack, cause } = error;
  const { code } = error as { code?: unknown };
  return { type: name, message, code, stack, ...(cause instanceof Error && { cause: describeError(cause) }) };
}

/** Logs Nest's own messages, with their level and context. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log = (message: unknown, ...rest: unknown[]) => this.write('debug', message, rest);
  error = (message: unknown, ...rest: unknown[]) => this.write('error', message, rest);
  warn = (message: unknown, ...rest: unknown[]) => this.write('warn', message, rest);
  debug = (message: unknown, ...rest: unknown[]) => this.write('debug', message, rest);
  verbose = (message: unknown, ...rest: unknown[]) => this.write('trace', message, rest);
  fatal = (message: unknown, ...rest: unknown[]) => this.write('fatal', message, rest);

  private write(
    level: 'trace' | 'debug' | 'warn' | 'error' | 'fatal',
    message: unknown,
    rest: unknown[],
  ): void {
    const context = rest.at(-1);
    const err = message instanceof Error ? message : rest.find((part) => part instanceof Error);
    const stack = level === 'error' && rest.length > 1 ? rest[0] : undefined;
    this.logger[level]({ context, err, stack }, message instanceof Error ? message.message : String(message));
  }
}
