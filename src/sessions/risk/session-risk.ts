import type { GeoLocation } from '../../platform/http/request.js';
import { isPrivileged, type Role } from '../../roles.js';
import type { Settings } from '../../platform/settings/settings.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';

/** The risk signals of a session in use. Each may mean that an attacker has the session. */
export type SignalName = 'country' | 'travel' | 'browser';

/** One difference between a request and its session. */
export interface Signal {
  name: SignalName;
  /** The key that is stored on the session after the user was notified, or has proved their identity. */
  key: string;
  /** For travel: where the session was before. */
  from?: string;
  /** For the mail, which says it in the language of the user. */
  facts: SignalFacts;
}

/** The facts of a signal. Countries are codes, and a program that is not a browser is null. */
export type SignalFacts =
  | { name: 'country'; country: string; originCountry: string }
  | { name: 'travel'; km: number; hours: number }
  | { name: 'browser'; browser: string | null; usual: string };

export type Response = Settings['suspicionCountry'];
/** The response to each signal. */
export type Responses = Record<SignalName, Response>;

type ResponseSettings = Pick<
  Settings,
  'suspicionCountry' | 'adminSuspicionCountry' | 'suspicionTravel' | 'suspicionBrowser'
>;

/** The responses for a user with these roles. Privileged roles have their own setting for a new country. */
export function responsesFor(roles: readonly Role[], settings: ResponseSettings): Responses {
  return {
    country: isPrivileged(roles) ? settings.adminSuspicionCountry : settings.suspicionCountry,
    travel: settings.suspicionTravel,
    browser: settings.suspicionBrowser,
  };
}

/** The properties of a request that the signals use. The browser is named as {@link describeUserAgent} names it. */
export interface Sighting {
  place: GeoLocation | null;
  browser: string | null;
}

/** The session that an appearance is compared with. */
export type KnownContext = Pick<SessionSnapshot, 'originCountry' | 'location' | 'device' | 'deviations'>;

/** The session risk of a request, and the response to it. */
export interface RiskFinding {
  response: Exclude<Response, 'off'>;
  signals: Signal[];
  /** Whether the user has not yet been notified of some of the signals. */
  isNew: boolean;
  /** The session's deviations after the notification. */
  deviations: string[];
}

/** The speed of a passenger plane. */
const FASTEST_KM_PER_H = 900;
/** The error of city databases. */
const MIN_KM = 500;
/** A session never needs more. When the list is full, the oldest deviation is dropped and raises a signal again. */
const MAX_DEVIATIONS = 20;

/** The differences between a request and its session. Unknown properties raise no signal. */
export function signalsOf(
  { originCountry, location, device }: Omit<KnownContext, 'deviations'>,
  { place, browser }: Sighting,
  now: number,
): Signal[] {
  const signals: Signal[] = [];
  const country = place?.country;
  if (originCountry && country && country !== originCountry) {
    const facts = { name: 'country', country, originCountry } as const;
    signals.push({ name: 'country', key: `country:${country}`, facts });
  }
  if (location && place?.at) {
    const km = distance(location, place.at);
    const hours = Math.max(0, now - location.at) / 3_600_000;
    if (km >= MIN_KM && km > hours * FASTEST_KM_PER_H) {
      const facts = { name: 'travel', km: Math.round(km / 100) * 100, hours: Math.ceil(hours) } as const;
      signals.push({ name: 'travel', key: placeKey(place.at), from: placeKey(location), facts });
    }
  }
  // A client that was not a browser at login has no browser to compare.
  if (device.browser && browser !== device.browser) {
    const facts = { name: 'browser', browser, usual: device.browser } as const;
    signals.push({ name: 'browser', key: `browser:${(browser ?? '').replace(/[^\w.-]/g, '_')}`, facts });
  }
  return signals;
}

/**
 * The strictest response to these signals. A session learns: a country, place or browser that the user has proved
 * raises no further signal on that session. The user is notified once of each.
 *
 * @returns null when there is nothing to do
 */
export function assessRisk(
  signals: Signal[],
  deviations: readonly string[],
  responses: Responses,
): RiskFinding | null {
  const open = signals.filter(({ name, key }) => responses[name] !== 'off' && !has(deviations, key));
  const response = (['end', 'reauthenticate', 'notify'] as const).find((strict) =>
    open.some(({ name }) => responses[name] === strict),
  );
  if (!response) return null;
  return {
    response,
    signals: open,
    isNew: open.some(({ key }) => !has(deviations, unproven(key))),
    deviations: remember(
      deviations,
      open.flatMap((signal) => [...departureOf(signal, deviations), unproven(signal.key)]),
    ),
  };
}

/** The session's deviations after the user has proved their identity with these signals. */
export function acknowledged(deviations: readonly string[], signals: Signal[]): string[] {
  return remember(
    deviations,
    signals.flatMap((signal) => [...departureOf(signal, deviations), signal.key]),
  );
}

/** The session's previous place also counts as known, unless the user was notified of risk there. */
function departureOf({ from }: Signal, deviations: readonly string[]): string[] {
  return from === undefined || has(deviations, unproven(from)) ? [] : [from];
}

function has(deviations: readonly string[], key: string): boolean {
  return deviations.some((known) => isSame(known, key));
}

/** Keeps the latest entry of each key. A proved key stays proved. */
function remember(deviations: readonly string[], keys: string[]): string[] {
  const added = keys.filter((key) => !has(deviations, bare(key)));
  const others = deviations.filter((known) => !has(added.map(bare), bare(known)));
  return [...others, ...added].slice(-MAX_DEVIATIONS);
}

/** City databases do not give exactly the same position for a place each time. */
function isSame(key: string, known: string): boolean {
  if (key === known) return true;
  const [place, knownPlace] = [PLACE.exec(key), PLACE.exec(known)];
  if (!place || !knownPlace || place[1] !== knownPlace[1]) return false;
  return distance(placeIn(place), placeIn(knownPlace)) < MIN_KM;
}

/** A tenth of a degree is at most 11 km. */
const placeKey = ({ latitude, longitude }: Coordinates): string =>
  `place:${latitude.toFixed(1)},${longitude.toFixed(1)}`;
const PLACE = /^(\??)place:([\d.-]+),([\d.-]+)$/;
const placeIn = ([, , latitude, longitude]: RegExpExecArray): Coordinates => ({
  latitude: Number(latitude),
  longitude: Number(longitude),
});

const bare = (known: string): string => known.replace(/^\?/, '');
const unproven = (key: string): string => `?${key}`;

const EARTH_RADIUS_KM = 6_371;

/** The great-circle distance in kilometres (haversine). */
function distance(from: Coordinates, to: Coordinates): number {
  const [fromLatitude, toLatitude] = [radians(from.latitude), radians(to.latitude)];
  const chord =
    squaredHalfSine(toLatitude - fromLatitude) +
    Math.cos(fromLatitude) * Math.cos(toLatitude) * squaredHalfSine(radians(to.longitude - from.longitude));
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(chord)));
}

type Coordinates = NonNullable<GeoLocation['at']>;

const squaredHalfSine = (angle: number): number => Math.sin(angle / 2) ** 2;
const radians = (degrees: number): number => (degrees * Math.PI) / 180;
