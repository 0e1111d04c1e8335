import { existsSync } from 'node:fs';
import { BootError } from './common/boot-error.js';
import { milliseconds } from './common/duration.js';
import { reasonOf } from './failure.js';

/**
 * Runs a command line tool, with the settings of `.env`. What goes wrong is said in one sentence, without a stack, and the exit code is 1.
 * @param work throws {@link BootError} for what the person who typed the command can mend
 */
export async function runCommand(work: () => Promise<void>): Promise<void> {
  try {
    if (existsSync('.env')) process.loadEnvFile('.env');
    await work();
  } catch (error) {
    console.error(isFaultOfOurs(error) ? error : (reasonOf(error) ?? (error as Error).message));
    process.exit(1); // connections may be open
  }
}

/** Node.js gives a code to what it throws for an argument or a file; an error of the language without one is a bug. */
function isFaultOfOurs(error: unknown): boolean {
  const isOfTheLanguage = error instanceof TypeError || error instanceof ReferenceError;
  return !(error instanceof Error) || (isOfTheLanguage && !('code' in error));
}

/** @throws BootError when the database of a command is not named */
export function required(value: string | undefined, variable: string, what: string): string {
  if (value === undefined) throw new BootError(`${variable} is not set: name ${what}`);
  return value;
}

/** Of an option such as `--lead 15m`, in milliseconds. @throws BootError when it is no duration */
export function durationOf(option: string, text: string): number {
  try {
    return milliseconds(text);
  } catch (error) {
    throw new BootError(`${option} "${text}" ${(error as Error).message}`, { cause: error });
  }
}
