import { Injectable } from '@nestjs/common';
import Bowser from 'bowser';
import { DataSource, type EntityManager } from 'typeorm';
import { boundedMap } from '../../platform/performance/bounded-map.js';
import { milliseconds } from '../../platform/settings/duration.js';
import type { RequestContext } from '../../platform/http/request.js';
import { random } from '../../platform/runtime/random.js';
import { MAX_SESSION_LIFETIME } from '../../platform/settings/settings.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';
import { sha256 } from '../../platform/runtime/sha256.js';
import { addDevice, findDeviceByEmail, recordLogin } from './device.repository.js';

export interface RecognisedDevice {
  device: SessionSnapshot['device'];
  /** The client keeps this token; the server stores only its digest. */
  token: string;
  isNew: boolean;
}

const MAX_NAME = 100;
/** No session lives longer than this, and no client keeps its device cookie longer. */
const FORGOTTEN_AFTER_MS = milliseconds(MAX_SESSION_LIFETIME);

/** Recognises the client installations of a user across logins, by a token that only the client has. */
@Injectable()
export class DeviceRecognition {
  constructor(private readonly database: DataSource) {}

  /**
   * The device that the token names, if it belongs to the account with this address. Such a device exists only after
   * a login with the password. An unknown address takes the same time as a known one, and gives null.
   */
  idOf(email: string, deviceToken: string): Promise<string | null> {
    return findDeviceByEmail(this.database, email, digestOfDeviceToken(deviceToken));
  }

  /**
   * The user's device that the token names, or a new device with a new token. The server never adopts a token that
   * belongs to another user.
   */
  async recognise(
    tx: EntityManager,
    login: {
      userId: string;
      deviceToken: string | null;
      deviceName?: string;
      context: RequestContext;
      now: Date;
    },
  ): Promise<RecognisedDevice> {
    const { userId, deviceToken, deviceName, context, now } = login;
    const { browser, os, name } = describeUserAgent(context.userAgent);
    if (deviceToken) {
      const tokenDigest = digestOfDeviceToken(deviceToken);
      const described = { name: deviceName ?? null, browser, os };
      const device = await recordLogin(tx, { userId, tokenDigest, now }, described);
      if (device) return { device, token: deviceToken, isNew: false };
    }
    const token = random.secret();
    const firstSeenAt = now.getTime();
    const device = { id: random.uuid(), name: deviceName ?? name, browser, os, firstSeenAt };
    const forgottenBefore = new Date(firstSeenAt - FORGOTTEN_AFTER_MS);
    await addDevice(tx, device, { userId, tokenDigest: digestOfDeviceToken(token), forgottenBefore });
    return { device, token, isNew: true };
  }
}

/** SHA-256 of a device token. A token has 256 random bits, so it needs no slow hash (ASVS 6.5.2). */
export function digestOfDeviceToken(token: string): Buffer {
  return sha256(token);
}

interface Description {
  browser: string | null;
  os: string | null;
  name: string;
}

/** Parsing a user agent costs more than a session check, and clients send the same one each time. */
const described = boundedMap<Description>(1_000);

/**
 * Browser, operating system and name according to the user agent. They help the user to recognise a device. Never
 * base a security decision on them.
 */
export function describeUserAgent(userAgent: string | null): Description {
  if (!userAgent) return { browser: null, os: null, name: 'Unknown device' };
  let description = described.get(userAgent);
  if (!description) described.set(userAgent, (description = read(userAgent)));
  return description;
}

function read(userAgent: string): Description {
  const { browser, os } = Bowser.parse(userAgent);
  const name = [browser.name, os.name].filter(Boolean).join(' on ');
  const product = /^[\w.+-]+/.exec(userAgent)?.[0];
  return {
    browser: browser.name || null,
    os: os.name || null,
    name: (name || product || 'Unknown device').slice(0, MAX_NAME),
  };
}
