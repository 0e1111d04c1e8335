/**
 * The direction of imports: platform ← users ← sessions ← auth ← admin, observability. A feature of your own needs no
 * line here: like `examples/` it imports `#core`, its own folder and libraries. Decorators carry metadata only, so every folder may import them.
 */
const BELOW = {
  platform: [],
  users: ['platform'],
  sessions: ['platform', 'users'],
  auth: ['platform', 'users', 'sessions'],
  admin: ['platform', 'users', 'sessions', 'auth'],
  observability: ['platform', 'sessions'],
};
const FOLDERS = Object.keys(BELOW);
/** The lists of roles, scopes and claims, and the name of the product: every folder may read them. */
const FOR_ALL = '^src/(roles|scopes|claims|product)[.]ts$';
/** Tests, and example requests for tests. */
const TESTS = '[.](spec|recipes)[.]ts$';

const direction = Object.entries(BELOW).map(([folder, below]) => ({
  name: `${folder}-imports-only-folders-below-it`,
  severity: 'error',
  // Command lines assemble the application as main.ts does.
  from: { path: `^src/${folder}/`, pathNot: '[.](cli|spec)[.]ts$' },
  to: { path: '^src/', pathNot: [`^src/(${[folder, ...below].join('|')})/`, '[.]decorator[.]ts$', FOR_ALL] },
}));

module.exports = {
  forbidden: [
    ...direction,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'features-import-only-core',
      comment: 'A feature, `examples/` too, imports `#core` (src/index.ts) and its own folder.',
      severity: 'error',
      from: { path: `^src/(?!(?:${FOLDERS.join('|')})/)([^/]+)/`, pathNot: TESTS },
      to: { path: '^src/', pathNot: ['^src/index[.]ts$', '^src/$1/'] },
    },
    {
      name: 'the-core-imports-no-feature',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(features[.]ts$|(?!(${FOLDERS.join('|')})/)[^/]+/)` },
      to: { path: `^src/(?!(${FOLDERS.join('|')})/)[^/]+/` },
    },
    {
      name: 'only-the-application-imports-auth-module',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/app[.]module[.]ts$' },
      to: { path: '^src/auth/auth[.]module[.]ts$' },
    },
    {
      name: 'decorators-carry-metadata-only',
      severity: 'error',
      from: { path: `^src/(${FOLDERS.join('|')})/.*[.]decorator[.]ts$`, pathNot: '^src/admin/' },
      to: {
        path: '^src/',
        pathNot: [
          '^src/platform/(api|http|settings)/',
          '[.](decorator|schemas)[.]ts$',
          '(session-snapshot|receipt|throttling/policies|roles|scopes)[.]ts$',
        ],
      },
    },
    {
      name: 'the-client-stands-alone',
      severity: 'error',
      from: { path: '^packages/client/src/' },
      to: { pathNot: '^packages/client/src/' },
    },
    {
      name: 'the-verifier-stands-alone',
      comment: 'It has no dependency. Only the guard for NestJS imports NestJS, which its user has.',
      severity: 'error',
      from: { path: '^packages/verifier/src/' },
      to: { pathNot: ['^packages/verifier/src/', '^node:', '^(http|crypto)$', 'node_modules/@nestjs/common/'] },
    },
    {
      name: 'only-the-guard-for-nest-imports-nest',
      severity: 'error',
      from: { path: '^packages/verifier/src/', pathNot: '/adapters/nest[.]ts$' },
      to: { path: 'node_modules/' },
    },
    {
      name: 'the-embedded-postgres-stands-alone',
      comment:
        'It is for development: `src/dev-database.ts` loads its build by path, so no bundle contains it.',
      severity: 'error',
      from: { path: '^packages/dev-postgres/src/' },
      to: { path: '^(src|test|lab|packages/client)/' },
    },
    {
      name: 'the-server-imports-no-package',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^packages/' },
    },
    {
      name: 'the-product-imports-no-test-and-no-laboratory',
      severity: 'error',
      from: { path: '^src/', pathNot: TESTS },
      to: { path: '^(test|lab)/' },
    },
    {
      name: 'tests-import-no-laboratory',
      severity: 'error',
      from: { path: '^(src|test)/' },
      to: { path: '^lab/' },
    },
    {
      // PostgreSQL ends a connection of another class with an event that would end the process.
      name: 'only-persistence-connects-to-postgresql',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/platform/persistence/' },
      to: { path: 'node_modules/pg/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'the-product-imports-no-dev-dependency',
      severity: 'error',
      from: { path: '^src/', pathNot: '[.]spec[.]ts$' },
      to: { dependencyTypes: ['npm-dev'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};
