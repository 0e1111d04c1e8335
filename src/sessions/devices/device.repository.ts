import type { EntityManager } from 'typeorm';
import type { SessionSnapshot } from '../check/session-snapshot.js';

/** All statements of the tables `devices` and `devices_left_behind`. */

type Database = Pick<EntityManager, 'query'>;
type Device = SessionSnapshot['device'];

/** A device in the list of its user. */
export interface DeviceRecord {
  id: string;
  name: string;
  browser: string | null;
  os: string | null;
  /** IP address of the session on this device that was used last; null after the record of that session was removed. */
  ip: string | null;
  country: string | null;
  firstSeenAt: Date;
  lastSeenAt: Date;
}

/** A user never needs to look at more devices than this. */
const MAX_LISTED = 200;

const LIST = `
  select d.id, d.name, d.browser, d.os, host(s.ip) as ip, s.country, d.first_seen_at as "firstSeenAt",
         greatest(d.last_seen_at, s.last_seen_at) as "lastSeenAt"
  from devices d left join lateral (
    select ip, country, last_seen_at from sessions where device_id = d.id order by last_seen_at desc limit 1) s on true
  where d.user_id = $1 and ($2::uuid is null or d.id = $2)
  order by "lastSeenAt" desc, d.id limit ${MAX_LISTED}`;

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

/** Devices of deleted users. A device is removed as soon as no session record refers to it. */
const REMOVE_LEFT_BEHIND = `
  with unused as (
    select device_id from devices_left_behind l
    where not exists (select from sessions s where s.device_id = l.device_id) limit $1 for update skip locked),
  removed as (delete from devices where id in (select device_id from unused))
  delete from devices_left_behind where device_id in (select device_id from unused)`;

/**
 * A user's devices, the last seen first.
 *
 * @param id if given, only this device
 */
export function listDevices(database: Database, userId: string, id?: string): Promise<DeviceRecord[]> {
  return database.query<DeviceRecord[]>(LIST, [userId, id]);
}

/** The device with this token, if it belongs to the account with this address. */
export async function findDeviceByEmail(
  database: Database,
  email: string,
  tokenDigest: Buffer,
): Promise<string | null> {
  const [device] = await database.query<{ id: string }[]>(
    `select devices.id from devices join users on users.id = devices.user_id
     where users.email = $1 and devices.token_digest = $2`,
    [email, tokenDigest],
  );
  return device?.id ?? null;
}

/** Whether the device belongs to the user. */
export async function isDeviceOf(tx: EntityManager, userId: string, id: string): Promise<boolean> {
  const found = await tx.query<unknown[]>('select from devices where id = $1 and user_id = $2', [id, userId]);
  return found.length > 0;
}

/**
 * Records a login on a known device of the user.
 *
 * @returns null when the user has no device with this token
 */
export async function recordLogin(
  tx: EntityManager,
  { userId, tokenDigest, now }: { userId: string; tokenDigest: Buffer; now: Date },
  { name, browser, os }: { name: string | null; browser: string | null; os: string | null },
): Promise<Device | null> {
  const [[seen]] = await tx.query<[{ id: string; name: string; first_seen_at: Date }[], number]>(
    `update devices set last_seen_at = $3, name = coalesce($4, name), browser = $5, os = $6
     where user_id = $1 and token_digest = $2 returning id, name, first_seen_at`,
    [userId, tokenDigest, now, name, browser, os],
  );
  return seen
    ? { id: seen.id, name: seen.name, browser, os, firstSeenAt: seen.first_seen_at.getTime() }
    : null;
}

/** Adds a device, and removes those of the user that were last seen before `forgottenBefore`. */
export async function addDevice(
  tx: EntityManager,
  { id, name, browser, os, firstSeenAt }: Device,
  { userId, tokenDigest, forgottenBefore }: { userId: string; tokenDigest: Buffer; forgottenBefore: Date },
): Promise<void> {
  const now = new Date(firstSeenAt);
  await tx.query(ADD, [id, userId, tokenDigest, name, browser, os, now, forgottenBefore]);
}

/** Renames a device. */
export async function renameDevice(tx: EntityManager, id: string, name: string): Promise<void> {
  await tx.query('update devices set name = $2 where id = $1', [id, name]);
}

/** Marks the devices of a deleted user: {@link removeDevicesLeftBehind} removes each after its last session record. */
export async function leaveDevicesBehind(tx: EntityManager, userId: string): Promise<void> {
  await tx.query(
    'insert into devices_left_behind select id from devices where user_id = $1 on conflict do nothing',
    [userId],
  );
}

/** Removes unused devices of deleted users. @returns how many, at most `limit` */
export async function removeDevicesLeftBehind(database: Database, limit: number): Promise<number> {
  const [, removed] = await database.query<[unknown, number]>(REMOVE_LEFT_BEHIND, [limit]);
  return removed;
}
