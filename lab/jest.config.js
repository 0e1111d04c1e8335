import product from '../jest.config.js';

/** Everything: the tests of the product, and those that take long or prove the template itself. */
export default {
  ...product,
  roots: [...product.roots, '<rootDir>/lab'],
  testPathIgnorePatterns: ['/node_modules/'],

  // For `npm run test:coverage`. In these folders an untested branch may be a vulnerability, so nearly every branch must be tested.
  collectCoverageFrom: ['src/**/*.ts', '!src/**/*.{spec,recipes}.ts', '!src/main.ts'],
  coverageProvider: 'v8',
  coverageReporters: ['text-summary', 'lcovonly'],
  coverageThreshold: { './src/sessions/': { branches: 95 }, './src/auth/': { branches: 95 } },
};
