import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import ts from 'typescript';

/** Real: the compiler, the public entrance, and the code blocks of its comments and of the README. */

const INDEX = readFileSync('src/index.ts', 'utf8');
const PRELUDE = `
  import { Body, Controller, Delete, Get, Inject, Injectable, Param, Patch, Post, Put, StreamableFile } from '@nestjs/common';
  import { Readable } from 'node:stream';
  import type { EntityManager } from 'typeorm';
  import { z } from 'zod';
  import { ${exportedNames().join(', ')} } from '#core';
  declare class AddressesService {
    cities(): string[];
    change(userId: string, address: object): Promise<void>;
  }`;

function exportedNames(): string[] {
  const lists = [...INDEX.matchAll(/export (type )?(?:\{|\* as )([^}]*?)(?:\}| from)/g)];
  return lists.flatMap(([, type, names]) =>
    names!
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean)
      .map((name) => (type ? `type ${name}` : name)),
  );
}

function blocksOf(text: string): string[] {
  const blocks = [...text.matchAll(/^( \* )?```ts\n([\s\S]*?)^( \* )?```/gm)];
  return blocks.map(([, , block]) => block!.replace(/^ \* ?/gm, '').replace(/^import .*\n/gm, ''));
}

/** Compiles each block as a module of its own. @returns the messages of the compiler */
function faultsIn(blocks: string[]): string[] {
  const { options } = ts.getParsedCommandLineOfConfigFile(
    'tsconfig.check.json',
    {},
    {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic: ({ messageText }) => {
        throw new Error(ts.flattenDiagnosticMessageText(messageText, '\n'));
      },
    },
  )!;
  const host = ts.createCompilerHost(options);
  const sources = new Map(
    blocks.map((block, index) => [
      resolve(join('src', `example-${index}.ts`)),
      `${PRELUDE}\n${block}\nexport {};`,
    ]),
  );
  const [exists, read] = [host.fileExists.bind(host), host.getSourceFile.bind(host)];
  host.fileExists = (file) => sources.has(resolve(file)) || exists(file);
  host.getSourceFile = (file, language, ...rest) => {
    const source = sources.get(resolve(file));
    return source === undefined ? read(file, language, ...rest) : ts.createSourceFile(file, source, language);
  };
  const program = ts.createProgram(
    [...sources.keys()],
    { ...options, noEmit: true, noUnusedLocals: false, noUnusedParameters: false },
    host,
  );
  return [...sources.keys()]
    .flatMap((file) => ts.getPreEmitDiagnostics(program, program.getSourceFile(file)))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

describe('the public entrance', () => {
  it('has an example per group of exports, and the compiler accepts each example', () => {
    const blocks = blocksOf(INDEX);
    expect(blocks.length).toBeGreaterThan(9);
    expect(faultsIn(blocks)).toEqual([]);
  });

  it('is all that the controller in the README needs', () => {
    const blocks = blocksOf(readFileSync('README.md', 'utf8'));
    expect(blocks).toHaveLength(1);
    expect(faultsIn(blocks)).toEqual([]);
  });

  it('refuses an example that is wrong', () => {
    expect(faultsIn(['export const limit = RateLimit({ limit: "many", per: "1m" });'])).toHaveLength(1);
  });
});
