/**
 * Bundles the server and the parts of `node_modules` that it needs into a few files in `dist/server`. Finding,
 * reading and linking 2,000 modules one by one takes half of the boot time. Decision 20 has the figures.
 */
import { build } from 'esbuild';

/** These packages read files beside them (workers, native code, pages), so they stay outside the bundle. */
const NEED_THEIR_FOLDERS = ['@node-rs/argon2', 'pino', 'pino-pretty', 'piscina', 'swagger-ui-dist'];

/** Optional dependencies of libraries that are not installed here. If you install one, remove it from this list. */
const ABSENT = [
  '@fastify/multipart',
  '@fastify/view',
  '@nestjs/microservices',
  '@nestjs/platform-express',
  '@nestjs/platform-socket.io',
  'class-transformer',
  'class-validator',
];

/**
 * `typeorm-compat.js` asks for classes that TypeORM no longer has, with a `require` that would load all of TypeORM a
 * second time.
 */
const ONE_TYPEORM = {
  name: 'one TypeORM',
  setup({ onLoad }) {
    onLoad({ filter: /typeorm-compat\.js$/ }, () => ({
      contents: 'export const Connection = undefined, AbstractRepository = undefined;',
    }));
  },
};

/** Defines `require`, `__filename` and `__dirname` for the CommonJS code in the bundle. */
const COMMON_JS = `
import { createRequire as bundleRequire } from 'node:module';
const require = bundleRequire(import.meta.url);
const { filename: __filename, dirname: __dirname } = import.meta;`;

/**
 * Large modules that are seldom used. Each becomes one file without imports. A running instance keeps its text in
 * memory (`kept-module.ts`).
 */
const KEPT = {
  'password-strength': 'dist/auth/passwords/password-strength.js',
  'webauthn-library': 'dist/auth/passkeys/webauthn/webauthn-library.js',
};

/** `kept-module.ts` reads these files, so the bundler makes no chunk of them. */
const KEPT_APART = {
  name: 'kept apart',
  setup({ onResolve }) {
    const names = new RegExp(`/(${Object.keys(KEPT).join('|')})\\.js$`);
    onResolve({ filter: names }, ({ kind, path }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    );
  },
};

export const OUTSIDE = [...NEED_THEIR_FOLDERS, ...ABSENT];

/** The two builds, as options of esbuild. `dev.js` repeats them after each change. */
export const BUNDLES = [
  {
    entryPoints: KEPT,
    outdir: 'dist/server',
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    logLevel: 'error',
  },
  // `keepNames` is off: it names each closure again whenever one is created, which makes a request a quarter more
  // expensive.
  {
    entryPoints: ['dist/main.js'],
    outdir: 'dist/server', // as deep as the source folder, so that relative paths to the package root stay valid
    bundle: true,
    splitting: true, // modules with a dynamic import are still loaded on first use
    platform: 'node',
    format: 'esm',
    target: 'node20',
    banner: { js: COMMON_JS },
    external: OUTSIDE,
    define: { BUNDLED: 'true' },
    plugins: [ONE_TYPEORM, KEPT_APART],
    logLevel: 'error',
  },
];

if (process.argv[1] === import.meta.filename) await Promise.all(BUNDLES.map((options) => build(options)));
