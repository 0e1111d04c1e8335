import type { IncomingMessage } from 'node:http';
import { random } from '../runtime/random.js';
import type { TrustedProxies } from './trusted-proxies.js';

/** With dashes, or without, as nginx writes its `$request_id`. */
const UUID = /^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i;

/**
 * The id of a request. It is in the header `X-Request-Id` of the response, in problems, in the log, in the audit log and
 * in traces.
 *
 * @param proxies the proxies whose `X-Request-Id` becomes the id, if it is a UUID; null: each id is new
 */
export function requestIdOf(
  request: Pick<IncomingMessage, 'headers' | 'socket'>,
  proxies: TrustedProxies | null,
): string {
  const given = request.headers['x-request-id'];
  const parts = typeof given === 'string' && proxies?.sent(request) ? UUID.exec(given) : null;
  return parts ? parts.slice(1).join('-').toLowerCase() : random.uuid();
}
