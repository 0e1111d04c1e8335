/** The mails of the core: `#core` exports them as `coreMails`, for their translations. */
export * from './auth/api-keys/mails.js';
export * from './auth/mfa/mails.js';
export * from './auth/oauth/mails.js';
export * from './auth/passkeys/mails.js';
export * from './auth/passwords/mails.js';
export * from './auth/registration/mails.js';
export * from './auth/social/mails.js';
export * from './sessions/mails.js';
