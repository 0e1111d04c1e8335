/** ESM mode: Jest needs `node --experimental-vm-modules`, which `npm test` passes. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/src', '<rootDir>/test', '<rootDir>/client/test'],
  testMatch: ['**/*.spec.ts'],
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
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: { '^.+\\.ts$': '@swc/jest' }, // options are in .swcrc

  // Applies with --coverage, and in CI. In these folders an untested branch may be a vulnerability, so nearly every
  // branch must be tested.
  collectCoverageFrom: ['src/**/*.ts', '!src/**/*.spec.ts', '!src/main.ts'],
  collectCoverage: process.env.CI === 'true',
  coverageProvider: 'v8',
  coverageReporters: ['text-summary', 'lcovonly'],
  coverageThreshold: { './src/sessions/': { branches: 95 }, './src/auth/': { branches: 95 } },
};
