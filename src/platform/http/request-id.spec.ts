import { describe, expect, it } from '@jest/globals';
import { requestIdOf } from './request-id.js';
import { TrustedProxies } from './trusted-proxies.js';

const PROXY = '10.0.0.7';
const ID = '0192d3a4-5b6c-7d8e-9f00-112233445566';
const NEW = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;
const proxies = new TrustedProxies([PROXY]);
const request = (id: string | string[] | undefined, remoteAddress = PROXY) =>
  ({ headers: { 'x-request-id': id }, socket: { remoteAddress } }) as never;

describe('The id of a request', () => {
  it.each([
    ['a UUID', ID],
    ['a UUID in capitals', ID.toUpperCase()],
    ['a UUID without dashes, as nginx writes it', ID.replaceAll('-', '')],
  ])('is the X-Request-Id of a trusted proxy, in the form of a UUID: %s', (_what, header) => {
    expect(requestIdOf(request(header), proxies)).toBe(ID);
  });

  it.each([
    ['no header', undefined],
    ['an empty text', ''],
    ['a text', 'request-1'],
    ['a UUID with more behind it', `${ID}\n{"level":"info"}`],
    ['two headers', `${ID}, ${ID}`],
  ])('is new if the proxy sends %s', (_what, header) => {
    const id = requestIdOf(request(header), proxies);
    expect(id).toMatch(NEW);
    expect(id).not.toBe(ID);
  });

  it('is new if the header comes from another peer, or if no proxy may set it', () => {
    expect(requestIdOf(request(ID, '203.0.113.7'), proxies)).not.toBe(ID);
    expect(requestIdOf(request(ID), null)).not.toBe(ID);
    expect(requestIdOf(request(ID), new TrustedProxies([]))).not.toBe(ID);
  });
});
