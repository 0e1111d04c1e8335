import type { Page } from 'playwright-core';

export declare class Recording {
  constructor(...pages: Page[]);
  show(ms: number): Promise<void>;
  follow(promise: Promise<unknown>): Promise<void>;
  readonly seconds: number;
  encode(): Buffer;
}
