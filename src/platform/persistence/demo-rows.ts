import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';

/** A demo user whose account is not deleted. */
export interface DemoUser {
  id: string;
  email: string;
}

/** Adds rows of a feature for a demo user. It runs at every start, so it adds nothing if the user has rows already. */
export type DemoRowsHook = (tx: EntityManager, user: DemoUser) => Promise<unknown>;

/** The hooks that give demo users their rows, in development only. The owner of a table registers one in its constructor. */
@Injectable()
export class DemoRows {
  private readonly hooks: DemoRowsHook[] = [];

  register(hook: DemoRowsHook): void {
    this.hooks.push(hook);
  }

  /** Runs all hooks, one after the other. */
  async run(tx: EntityManager, user: DemoUser): Promise<void> {
    for (const hook of this.hooks) await hook(tx, user);
  }
}
