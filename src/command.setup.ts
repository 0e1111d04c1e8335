import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { userInfo } from 'node:os';
import { AppModule } from './app.module.js';
import type { ActorContext } from './platform/api/actor.decorator.js';
import { Problem } from './platform/api/problem.js';
import { loadKeys } from './platform/keys/key-file.js';
import { createLogger } from './platform/logging/logger.js';
import { requireMigrated } from './platform/persistence/migrate.js';
import { required } from './platform/runtime/command.js';
import { random } from './platform/runtime/random.js';
import { BootError } from './platform/settings/boot-error.js';
import { loadSettings } from './platform/settings/load-settings.js';

/**
 * Runs a command with the services of an instance, on the settings of the instances. The command is no instance: it
 * opens no port, runs no background job, sends no mail and does not follow the revocation feed. So it works beside
 * running instances, without any, and while Redis is down. Instances learn of its changes as of those of each other.
 *
 * @throws BootError for a problem that the API would answer with
 */
export async function withServices(
  work: (services: INestApplicationContext) => Promise<void>,
): Promise<void> {
  const settings = loadSettings(process.env);
  const url = required(settings.databaseUrl, 'DATABASE_URL', 'the database of the instances');
  await requireMigrated(url, settings);
  const logger = createLogger('silent', false); // an error is printed as one sentence
  const module = AppModule.forRoot(settings, await loadKeys(settings), { logger, isCommand: true });
  // Only `init()` and `listen()` start background work, so neither is called.
  const services = await NestFactory.create(module, new FastifyAdapter(), {
    logger: false,
    abortOnError: false,
  });
  try {
    await work(services);
  } catch (error) {
    throw error instanceof Problem
      ? new BootError(String(error.body('')['detail']), { cause: error })
      : error;
  } finally {
    await services.close();
  }
}

/** The operator as the actor of an audit event: no user and no address, but the command and its system user. */
export function operatorOf(command: string): ActorContext {
  const userAgent = `command ${command}, operator ${systemUser()}`;
  return { actorId: null, context: { ip: null, userAgent, place: null, requestId: random.uuid() } };
}

/** A container may run as a user without a name. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}
