import { existsSync } from 'node:fs';
import { BootError } from '../settings/boot-error.js';
import { milliseconds } from '../settings/duration.js';
import { reasonOf } from './failure.js';

/**
 * Runs a command line tool with the settings of `.env`. `--help` prints the usage. On an error it prints one sentence
 * without a stack and exits with code 1.
 * @param work throws {@link BootError} for errors that the operator can fix
 */
export async function runCommand(usage: string, work: () => Promise<void>): Promise<void> {
  try {
    if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h'))
      return console.log(usage);
    if (existsSync('.env')) process.loadEnvFile('.env');
    await work();
  } catch (error) {
    console.error(isFaultOfOurs(error) ? error : sentenceOf(error as Error, usage));
    process.exit(1); // connections may be open
  }
}

/** A command line that the command does not understand. The usage follows the message. */
export class UsageError extends BootError {}

function sentenceOf(error: Error, usage: string): string {
  const isAboutUsage =
    error instanceof UsageError || String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS');
  if (isAboutUsage) return [error.message, usage].filter(Boolean).join('\n\n');
  return reasonOf(error) ?? error.message;
}

/** Node.js sets a code on errors about arguments or files. A TypeError or ReferenceError without a code is a bug. */
function isFaultOfOurs(error: unknown): boolean {
  const isOfTheLanguage = error instanceof TypeError || error instanceof ReferenceError;
  return !(error instanceof Error) || (isOfTheLanguage && !('code' in error));
}

/** @throws BootError if the setting is not set */
export function required(value: string | undefined, variable: string, what: string): string {
  if (value === undefined) throw new BootError(`${variable} is not set: name ${what}`);
  return value;
}

/**
 * Parses an option such as `--lead 15m` into milliseconds.
 * @throws BootError if it is no duration
 */
export function durationOf(option: string, text: string): number {
  try {
    return milliseconds(text);
  } catch (error) {
    throw new BootError(`${option} "${text}" ${(error as Error).message}`, { cause: error });
  }
}
