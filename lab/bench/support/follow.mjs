import { request } from './request.mjs';

/**
 * The requests of one client that refreshes: each with the refresh token of the previous answer. Undefined, which
 * ends it, when an answer has none.
 * @param {{ refreshToken: string, deviceToken: string, path: string }} chain
 */
export function follow({ refreshToken, deviceToken, path }) {
  let token = refreshToken;
  return (answer) => {
    if (answer) token = answer.status === 200 ? JSON.parse(answer.text).refreshToken : undefined;
    if (!token) return undefined;
    return request('POST', path, {
      headers: { 'x-device-token': deviceToken },
      body: { refreshToken: token },
    });
  };
}
