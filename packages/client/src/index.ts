export {
  createClient,
  type CallOptions,
  type Client,
  type ClientOptions,
  type DeviceKey,
  type LoggedIn,
  type LoginBody,
  type PasskeyLoginBody,
  type Proof,
  type MfaLoginService,
} from './client.js';
export { memoryStorage, type Tokens, type TokenStorage } from './bearer-credentials.js';
export type { Person as SessionBegun } from './credentials.js';
export type { Channel } from './cookie-credentials.js';
export { ApiProblem, AuthUnavailable, BodyNotReplayable, SessionEnded, type EndReason } from './errors.js';
export type { Locks } from './locks.js';
export type { Time } from './time.js';
export type * from './api-types.js';
