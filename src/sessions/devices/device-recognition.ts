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

export interface RecognisedDevice {
  device: SessionSnapshot['device'];
  /** The client keeps this token; the server stores only its digest. */
  token: string;
  isNew: boolean;
}

const MAX_NAME = 100;
/** No session lives longer than this, and no client keeps its device cookie longer. */
const FORGOTTEN_AFTER_MS = milliseconds(MAX_SESSION_LIFETIME);

/**
 * Also removes the user's old devices. A program that never sends a device token gets a new device with each login,
 * so the list would grow without end.
 */
const ADD = `
  with forgotten as (
    delete from devices d where user_id = $2 and last_seen_at < $8
      and not exists (select from sessions s where s.device_id = d.id))
  insert into devices (id, user_id, token_digest, name, browser, os, first_seen_at, last_seen_at)
  values ($1, $2, $3, $4, $5, $6, $7, $7)`;

/** Recognises the client installations of a user across logins, by a token that only the client has. */
@Injectable()
export class DeviceRecognition {
  constructor(private readonly database: DataSource) {}

  /**
   * The device that the token names, if it belongs to the account with this address. Such a device exists only after
   * a login with the password. An unknown address takes the same time as a known one, and gives null.
   */
  async idOf(email: string, deviceToken: string): Promise<string | null> {
    const [device] = await this.database.query<{ id: string }[]>(
      `select devices.id from devices join users on users.id = devices.user_id
       where users.email = $1 and devices.token_digest = $2`,
      [email, digestOfDeviceToken(deviceToken)],
    );
    return device?.id ?? null;
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
      const [[seen]] = await tx.query<[{ id: string; name: string; first_seen_at: Date }[], number]>(
        `update devices set last_seen_at = $3, name = coalesce($4, name), browser = $5, os = $6
         where user_id = $1 and token_digest = $2 returning id, name, first_seen_at`,
        [userId, digestOfDeviceToken(deviceToken), now, deviceName ?? null, browser, os],
      );
      if (seen) {
        const firstSeenAt = seen.first_seen_at.getTime();
        const device = { id: seen.id, name: seen.name, browser, os, firstSeenAt };
        return { device, token: deviceToken, isNew: false };
      }
    }
    const token = random.secret();
    const firstSeenAt = now.getTime();
    const device = { id: random.uuid(), name: deviceName ?? name, browser, os, firstSeenAt };
    const forgottenBefore = new Date(firstSeenAt - FORGOTTEN_AFTER_MS);
    await tx.query(ADD, [
      device.id,
      userId,
      digestOfDeviceToken(token),
      device.name,
      browser,
      os,
      now,
      forgottenBefore,
    ]);
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
