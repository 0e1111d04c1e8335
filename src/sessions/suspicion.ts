import type { Place } from '../common/request.js';
import type { Settings } from '../config/settings.js';
import type { SessionSnapshot } from './session-snapshot.js';

/** What may be unusual about a session that is used: signs that somebody else has it. */
export type SignalName = 'country' | 'travel' | 'browser';

export interface Signal {
  name: SignalName;
  /** What is remembered of it on the session. */
  key: string;
  /** For people, in the middle of a sentence. */
  says: string;
}

export type Response = Settings['suspicionCountry'];
export type Responses = Pick<Settings, 'suspicionCountry' | 'suspicionTravel' | 'suspicionBrowser'>;

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
  const km = location && place?.at ? distance(location, place.at) : 0;
  const hours = location ? Math.max(0, now - location.at) / 3_600_000 : Infinity;
  if (km >= LEAST_KM && km > hours * FASTEST_KM_PER_H) {
    const says = `it was used ${Math.round(km / 100) * 100} km from where it had been ${Math.ceil(hours)} h before`;
    signals.push({ name: 'travel', key: 'travel', says });
  }
  // A program that never was a browser has nothing to be told apart by.
  if (device.browser && browser !== device.browser) {
    const says = `it was used by ${browser ?? 'something that is no browser'}, and not by ${device.browser}`;
    signals.push({ name: 'browser', key: `browser:${(browser ?? '').replace(/[^\w.-]/g, '_')}`, says });
  }
  return signals;
}

/**
 * The strictest of what the settings say to these signals. What the person has proved to be them is not brought up
 * again on that session, and nobody is told twice of the same.
 * @returns null when there is nothing to do
 */
export function suspicionOf(
  signals: Signal[],
  deviations: readonly string[],
  settings: Responses,
): Suspicion | null {
  const open = signals.filter(
    ({ name, key }) => responseTo(name, settings) !== 'off' && !deviations.includes(key),
  );
  const response = (['end', 'reauthenticate', 'notify'] as const).find((strict) =>
    open.some(({ name }) => responseTo(name, settings) === strict),
  );
  if (!response) return null;
  const told = open.map(({ key }) => unproven(key));
  return {
    response,
    signals: open,
    isNew: told.some((key) => !deviations.includes(key)),
    deviations: remember(deviations, told),
  };
}

/** The session's deviations once the person has proved to be the one who looks like this. */
export function accepted(deviations: readonly string[], signals: Signal[]): string[] {
  return remember(
    deviations,
    signals.map(({ key }) => key),
  );
}

function remember(deviations: readonly string[], told: string[]): string[] {
  const others = deviations.filter((known) => !told.some((key) => bare(key) === bare(known)));
  return [...others, ...told].slice(-MOST_DEVIATIONS);
}

const bare = (known: string): string => known.replace(/^\?/, '');
const unproven = (key: string): string => `?${key}`;

function responseTo(name: SignalName, settings: Responses): Response {
  switch (name) {
    case 'country':
      return settings.suspicionCountry;
    case 'travel':
      return settings.suspicionTravel;
    case 'browser':
      return settings.suspicionBrowser;
  }
}

const COUNTRIES = new Intl.DisplayNames('en', { type: 'region' });

function nameOf(country: string): string {
  return /^[A-Z]{2}$/.test(country) ? (COUNTRIES.of(country) ?? country) : 'the Tor network';
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
