/**
 * The features of the product, one line each: the application has every module that this file exports. A feature
 * imports `#core` and its own folder.
 */
export { ExamplesModule } from './examples/examples.module.js';
