/**
 * The features of the product, one line each: the application has every module that this file exports. A feature
 * imports `#core` and its own folder. A part of `auth/` that nothing else imports is here as well, so that deleting it is
 * as easy.
 */
export { ConsoleModule } from './console/console.module.js';
export { OAuthModule } from './auth/oauth/oauth.module.js';
export { ExamplesModule } from './examples/examples.module.js';
