/** ESM mode: Jest needs `node --experimental-vm-modules`, which `npm test` passes. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/src', '<rootDir>/test', '<rootDir>/client/test'],
  testMatch: ['**/*.spec.ts'],
  // Of tests and hooks, many of which start servers. Only those that hang reach it: no test is about real time.
  testTimeout: 600_000,
  maxWorkers: 2,
  // Node keeps the modules of finished spec files in memory; a fresh worker does not have them.
  workerIdleMemoryLimit: '768MB',

  globalSetup: '<rootDir>/test/global-setup.mjs',
  globalTeardown: '<rootDir>/test/global-teardown.mjs',
  setupFiles: ['<rootDir>/test/support/worker-env.mjs'],
  reporters: ['default', '<rootDir>/test/support/reporter.mjs'],

  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: { '^.+\\.ts$': '@swc/jest' }, // as .swcrc says

  // With --coverage, and in CI. Where a missed branch is a way in, nearly every branch has to be walked.
  collectCoverageFrom: ['src/**/*.ts', '!src/**/*.spec.ts', '!src/main.ts'],
  collectCoverage: process.env.CI === 'true',
  coverageProvider: 'v8',
  coverageReporters: ['text-summary', 'lcovonly'],
  coverageThreshold: { './src/sessions/': { branches: 95 }, './src/auth/': { branches: 95 } },
};
