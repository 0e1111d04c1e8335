import type { Place } from '../common/request.js';
import type { Role } from '../common/roles.js';
import type { Settings } from '../config/settings.js';
import type { SessionSnapshot } from './session-snapshot.js';

/** What may be unusual about a session that is used: signs that somebody else has it. */
export type SignalName = 'country' | 'travel' | 'browser';

export interface Signal {
  name: SignalName;
  /** What is remembered of it on the session, once it was told or proved. */
  key: string;
  /** Of travel: where the session was before. */
  from?: string;
  /** For people, in the middle of a sentence. */
  says: string;
}

export type Response = Settings['suspicionCountry'];
/** What is done about each signal. */
export type Responses = Record<SignalName, Response>;

type ResponseSettings = Pick<
  Settings,
  'suspicionCountry' | 'adminSuspicionCountry' | 'suspicionTravel' | 'suspicionBrowser'
>;

export function responsesFor(roles: readonly Role[], settings: ResponseSettings): Responses {
  return {
    country: roles.includes('admin') ? settings.adminSuspicionCountry : settings.suspicionCountry,
    travel: settings.suspicionTravel,
    browser: settings.suspicionBrowser,
  };
}

/** How a request looks; the browser as {@link describe} names it. */
export interface Appearance {
  place: Place | null;
  browser: string | null;
}

/** What an appearance is held against. */
export type Familiar = Pick<SessionSnapshot, 'originCountry' | 'location' | 'device' | 'deviations'>;

export interface Suspicion {
  response: Exclude<Response, 'off'>;
  signals: Signal[];
  /** Whether some of it has not been told to anybody yet. */
  isNew: boolean;
  /** The session's deviations, once it has been told. */
  deviations: string[];
}

/** A passenger plane. */
const FASTEST_KM_PER_H = 900;
/** Databases of cities are off by as much. */
const LEAST_KM = 500;
/** More than anybody moves about in the life of a session; then the oldest is asked about again. */
const MOST_DEVIATIONS = 20;

/** How requests look different from the session that they are of. Nothing follows from what is not known. */
export function signalsOf(
  { originCountry, location, device }: Omit<Familiar, 'deviations'>,
  { place, browser }: Appearance,
  now: number,
): Signal[] {
  const signals: Signal[] = [];
  const country = place?.country;
  if (originCountry && country && country !== originCountry) {
    const says = `it was used in ${nameOf(country)}, and began in ${nameOf(originCountry)}`;
    signals.push({ name: 'country', key: `country:${country}`, says });
  }
  if (location && place?.at) {
    const km = distance(location, place.at);
    const hours = Math.max(0, now - location.at) / 3_600_000;
    if (km >= LEAST_KM && km > hours * FASTEST_KM_PER_H) {
      const says = `it was used ${Math.round(km / 100) * 100} km from where it had been ${Math.ceil(hours)} h before`;
      signals.push({ name: 'travel', key: placeKey(place.at), from: placeKey(location), says });
    }
  }
  // A program that never was a browser has nothing to be told apart by.
  if (device.browser && browser !== device.browser) {
    const says = `it was used by ${browser ?? 'something that is no browser'}, and not by ${device.browser}`;
    signals.push({ name: 'browser', key: `browser:${(browser ?? '').replace(/[^\w.-]/g, '_')}`, says });
  }
  return signals;
}

/**
 * The strictest response to these signals. A session learns: a country, a place or a browser that its person has proved raises
 * nothing on that session any more, and the person is told once of each.
 * @returns null when there is nothing to do
 */
export function suspicionOf(
  signals: Signal[],
  deviations: readonly string[],
  responses: Responses,
): Suspicion | null {
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

/** The session's deviations once the person has proved to be the one who looks like this. */
export function accepted(deviations: readonly string[], signals: Signal[]): string[] {
  return remember(
    deviations,
    signals.flatMap((signal) => [...departureOf(signal, deviations), signal.key]),
  );
}

/** Where the session was before is a place of its own, too, unless its person was told that it looked suspicious there. */
function departureOf({ from }: Signal, deviations: readonly string[]): string[] {
  return from === undefined || has(deviations, unproven(from)) ? [] : [from];
}

function has(deviations: readonly string[], key: string): boolean {
  return deviations.some((known) => isSame(known, key));
}

/** The latest of each; what has been proved stays so. */
function remember(deviations: readonly string[], keys: string[]): string[] {
  const added = keys.filter((key) => !has(deviations, bare(key)));
  const others = deviations.filter((known) => !has(added.map(bare), bare(known)));
  return [...others, ...added].slice(-MOST_DEVIATIONS);
}

/** Databases of cities do not find the same place twice to the kilometre. */
function isSame(key: string, known: string): boolean {
  if (key === known) return true;
  const [place, knownPlace] = [PLACE.exec(key), PLACE.exec(known)];
  if (!place || !knownPlace || place[1] !== knownPlace[1]) return false;
  return distance(placeIn(place), placeIn(knownPlace)) < LEAST_KM;
}

/** A tenth of a degree is 11 km at most. */
const placeKey = ({ latitude, longitude }: Coordinates): string =>
  `place:${latitude.toFixed(1)},${longitude.toFixed(1)}`;
const PLACE = /^(\??)place:([\d.-]+),([\d.-]+)$/;
const placeIn = ([, , latitude, longitude]: RegExpExecArray): Coordinates => ({
  latitude: Number(latitude),
  longitude: Number(longitude),
});

const bare = (known: string): string => known.replace(/^\?/, '');
const unproven = (key: string): string => `?${key}`;

const COUNTRIES = new Intl.DisplayNames('en', { type: 'region' });

function nameOf(country: string): string {
  return COUNTRIES.of(country) ?? country;
}

const EARTH_RADIUS_KM = 6_371;

/** Along the great circle, in km (haversine). */
function distance(from: Coordinates, to: Coordinates): number {
  const [fromLatitude, toLatitude] = [radians(from.latitude), radians(to.latitude)];
  const chord =
    squaredHalfSine(toLatitude - fromLatitude) +
    Math.cos(fromLatitude) * Math.cos(toLatitude) * squaredHalfSine(radians(to.longitude - from.longitude));
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(chord)));
}

type Coordinates = NonNullable<Place['at']>;

const squaredHalfSine = (angle: number): number => Math.sin(angle / 2) ** 2;
const radians = (degrees: number): number => (degrees * Math.PI) / 180;
