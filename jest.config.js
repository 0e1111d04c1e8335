/**
 * The tests of the product. `npm run test:all` (lab/jest.config.js) adds those that take long or prove the template itself. ESM mode:
 * Jest needs `node --experimental-vm-modules`, which `npm test` passes.
 */
export default {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  roots: [
    '<rootDir>/src',
    '<rootDir>/test',
    '<rootDir>/packages/client/test',
    '<rootDir>/packages/verifier/test',
  ],
  testMatch: ['**/*.spec.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/packages/client/test/browser/'],
  // Timeout of tests and hooks, many of which start servers. Only a hung test reaches it: no test measures real time.
  testTimeout: 600_000,
  maxWorkers: 2,
  // Node keeps the modules of finished spec files in memory. A fresh worker starts without them.
  workerIdleMemoryLimit: '768MB',

  globalSetup: '<rootDir>/test/global-setup.mjs',
  globalTeardown: '<rootDir>/test/global-teardown.mjs',
  setupFiles: ['<rootDir>/test/support/worker-env.mjs'],
  reporters: ['default', '<rootDir>/test/support/reporter.mjs'],

  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^#core$': '<rootDir>/src/index.ts', '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: { '^.+\\.ts$': '@swc/jest' }, // options are in .swcrc
};
