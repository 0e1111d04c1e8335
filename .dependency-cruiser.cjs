/**
 * Which modules may import which. Each module may import the modules listed for it. Every module may import
 * decorators. The rule `rooms-are-listed` reports a module that is missing here.
 */
const ROOMS = {
  common: [],
  config: ['common'],
  http: ['common', 'config'],
  database: ['common', 'config'],
  cache: ['common', 'config'],
  places: ['common', 'config'],
  audit: ['common', 'config', 'database'],
  mail: ['common', 'config', 'database'],
  users: ['common', 'config', 'database', 'audit'],
  throttle: ['common', 'config', 'database', 'cache', 'audit', 'users'],
  passkeys: ['common', 'config', 'database'],
  sessions: ['common', 'config', 'database', 'cache', 'audit', 'mail', 'users'],
  'second-factor': [
    'common',
    'config',
    'database',
    'audit',
    'mail',
    'users',
    'throttle',
    'passkeys',
    'sessions',
  ],
  auth: [
    'common',
    'config',
    'database',
    'cache',
    'audit',
    'mail',
    'users',
    'throttle',
    'passkeys',
    'sessions',
    'second-factor',
  ],
  accounts: ['common', 'config', 'database', 'audit', 'users', 'sessions', 'second-factor', 'auth'],
  admin: ['common', 'config', 'database', 'audit', 'users', 'sessions', 'second-factor', 'auth', 'accounts'],
  health: ['common', 'config', 'http', 'database', 'cache', 'sessions'],
  metrics: ['common', 'config', 'throttle', 'sessions'],
  examples: ['common', 'config', 'database', 'sessions'],
};

const direction = Object.entries(ROOMS).map(([room, below]) => ({
  name: `${room}-stands-on-what-is-below`,
  severity: 'error',
  // CLI files assemble the application as main.ts does.
  from: { path: `^src/${room}/`, pathNot: '[.](cli|spec)[.]ts$' },
  to: { path: '^src/', pathNot: [`^src/(${[room, ...below].join('|')})/`, '[.]decorator[.]ts$'] },
}));

module.exports = {
  forbidden: [
    ...direction,
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'rooms-are-listed',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/((${Object.keys(ROOMS).join('|')})/|[^/]+$)` },
      to: {},
    },
    {
      name: 'only-the-app-knows-auth-module',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/app[.]module[.]ts$' },
      to: { path: '^src/auth/auth[.]module[.]ts$' },
    },
    {
      name: 'examples-can-be-deleted',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(app[.]module[.]ts$|examples/)' },
      to: { path: '^src/examples/' },
    },
    {
      name: 'decorators-are-words-only',
      severity: 'error',
      from: { path: '[.]decorator[.]ts$', pathNot: '^src/admin/' },
      to: { path: '^src/', pathNot: ['^src/common/', '(session-snapshot|receipt|throttle/policies)[.]ts$'] },
    },
    {
      name: 'the-client-stands-alone',
      severity: 'error',
      from: { path: '^client/src/' },
      to: { pathNot: '^client/src/' },
    },
    {
      name: 'the-server-knows-no-client',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^client/' },
    },
    {
      name: 'tests-stay-out-of-the-product',
      severity: 'error',
      from: { path: '^src/', pathNot: '[.]spec[.]ts$' },
      to: { path: '^test/' },
    },
    {
      // A connection of another class would end the process when PostgreSQL closes it.
      name: 'connections-to-postgres-are-made-in-database',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/database/' },
      to: { path: 'node_modules/pg/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'dev-dependencies-stay-out-of-the-product',
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
