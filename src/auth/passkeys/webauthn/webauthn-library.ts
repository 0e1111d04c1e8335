/** The used parts of the library, as one module that is loaded on first use. */
export { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server';
export * from '@simplewebauthn/server/helpers';
