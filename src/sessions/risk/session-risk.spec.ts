import { describe, expect, it } from '@jest/globals';
import { render } from '../../platform/mail/content/render-mail.js';
import { SUSPICIOUS_MAIL } from '../mails.js';
import {
  acknowledged,
  responsesFor,
  signalsOf,
  assessRisk,
  type Sighting,
  type KnownContext,
  type Responses,
} from './session-risk.js';

const HOUR = 3_600_000;
const NOW = 1_763_700_000_000;
const VIENNA = { latitude: 48.2, longitude: 16.37 };
const GRAZ = { latitude: 47.07, longitude: 15.44 };
const BERLIN = { latitude: 52.52, longitude: 13.4 };
const AUCKLAND = { latitude: -36.85, longitude: 174.76 };
const DEFAULTS: Responses = {
  country: 'end',
  travel: 'notify',
  browser: 'notify',
};

const session = (what: Partial<KnownContext> & { browser?: string } = {}): KnownContext => ({
  originCountry: 'AT',
  location: null,
  deviations: [],
  ...what,
  device: { id: '', name: '', os: null, firstSeenAt: NOW, browser: what.browser ?? null },
});
const looks = (place: Sighting['place'], browser: string | null = null): Sighting => ({ place, browser });
const names = (familiar: KnownContext, appearance: Sighting, now = NOW) =>
  signalsOf(familiar, appearance, now).map(({ name }) => name);

describe('the risk signals of a request', () => {
  it.each<[string, KnownContext, Sighting, string[]]>([
    ['the same country', session(), looks({ country: 'AT' }), []],
    ['another country', session(), looks({ country: 'DE' }), ['country']],
    ['an unknown country', session(), looks(null), []],
    [
      'a session with an unknown country at login',
      session({ originCountry: null }),
      looks({ country: 'DE' }),
      [],
    ],
    ['the same browser', session({ browser: 'Firefox' }), looks(null, 'Firefox'), []],
    ['another browser', session({ browser: 'Firefox' }), looks(null, 'Chrome'), ['browser']],
    ['no browser after a browser', session({ browser: 'Firefox' }), looks(null), ['browser']],
    ['a program that was no browser and now names one', session(), looks(null, 'Chrome'), []],
  ])('a request from %s raises exactly the expected risk signals', (_, familiar, appearance, expected) => {
    expect(names(familiar, appearance)).toEqual(expected);
  });

  it.each([
    ['Vienna to Graz at once, which is within the error of databases', VIENNA, GRAZ, 0, []],
    ['Vienna to Berlin within half an hour', VIENNA, BERLIN, 0.5, ['travel']],
    ['Vienna to Berlin by plane', VIENNA, BERLIN, 1, []],
    ['Vienna to Auckland within 19 hours', VIENNA, AUCKLAND, 19, ['travel']],
    ['Vienna to Auckland within 21 hours', VIENNA, AUCKLAND, 21, []],
    ['Vienna to Berlin back in time, when clocks differ', VIENNA, BERLIN, -1, ['travel']],
  ])('travel from %s raises exactly the expected risk signals', (_, from, to, hours, expected) => {
    const familiar = session({ location: { ...from, at: NOW - hours * HOUR } });
    expect(names(familiar, looks({ country: 'AT', at: to }))).toEqual(expected);
  });

  it('distances are measured on the globe, also across the antimeridian', () => {
    const familiar = session({ location: { latitude: 0, longitude: 179.9, at: NOW } });
    expect(names(familiar, looks({ country: 'AT', at: { latitude: 0, longitude: -179.9 } }))).toEqual([]);
    const [far] = signalsOf(
      session({ location: { ...VIENNA, at: NOW - HOUR } }),
      looks({ country: 'AT', at: AUCKLAND }),
      NOW,
    );
    expect(far?.facts).toEqual({ name: 'travel', km: 17_900, hours: 1 });
  });

  it('a mail describes each risk signal in a sentence', () => {
    const familiar = session({ browser: 'Firefox', location: { ...VIENNA, at: NOW - HOUR } });
    const signals = signalsOf(familiar, looks({ country: 'DE', at: AUCKLAND }), NOW);
    const data = { at: new Date(NOW).toISOString(), signals: signals.map(({ facts }) => facts) };
    const [opening] = render(SUSPICIOUS_MAIL, data).text.split('\n\n');
    expect(opening).toBe(
      [
        'One of your sessions was used in an unusual way.',
        'It began in Austria and was used in Germany.',
        'It was used 17900 km from its location 1 h earlier.',
        'It was used by a program that is not a browser instead of Firefox.',
      ].join(' '),
    );
  });
});

describe('the response to risk signals', () => {
  const abroad = signalsOf(session({ browser: 'Firefox' }), looks({ country: 'DE' }, 'Chrome'), NOW);
  const respond = (responses: Partial<Responses>, deviations: string[] = []) =>
    assessRisk(abroad, deviations, { ...DEFAULTS, ...responses });

  it.each<[string, Partial<Responses>, string | undefined]>([
    ['end over every other response', {}, 'end'],
    ['reauthenticate over notify', { country: 'notify', browser: 'reauthenticate' }, 'reauthenticate'],
    ['notify over off', { country: 'off' }, 'notify'],
    ['nothing when every response is off', { country: 'off', browser: 'off' }, undefined],
  ])('the strictest setting decides: %s', (_, settings, response) => {
    expect(respond(settings)?.response).toBe(response);
  });

  it('the user is not notified twice of the same signal', () => {
    const first = respond({ country: 'notify' })!;
    expect(first).toMatchObject({ isNew: true, deviations: ['?country:DE', '?browser:Chrome'] });
    expect(respond({ country: 'notify' }, first.deviations)).toMatchObject({ isNew: false });
  });

  it('a signal that needs reauthentication is reported once, and refused until the user has reauthenticated', () => {
    const settings = { country: 'reauthenticate' } as const;
    const first = respond(settings)!;
    expect(first.deviations).toEqual(['?country:DE', '?browser:Chrome']);
    const second = respond(settings, first.deviations);
    expect(second).toMatchObject({ response: 'reauthenticate', isNew: false });
    const proven = acknowledged(first.deviations, abroad);
    expect(proven).toEqual(['country:DE', 'browser:Chrome']);
    expect(respond(settings, proven)).toBeNull();
    expect(respond({}, proven)).toBeNull();
  });

  it('a notification is no proof when the setting has become stricter since', () => {
    expect(respond({ country: 'end' }, ['?country:DE'])?.response).toBe('end');
  });

  it('a country other than the acknowledged one raises the signal again', () => {
    const elsewhere = signalsOf(session(), looks({ country: 'FR' }), NOW);
    expect(assessRisk(elsewhere, ['country:DE'], DEFAULTS)?.response).toBe('end');
  });

  it('a session stores a limited number of deviations, and keeps the latest', () => {
    let deviations: string[] = [];
    for (let browser = 0; browser < 50; browser++) {
      const signals = signalsOf(session({ browser: 'Firefox' }), looks(null, `Browser ${browser}`), NOW);
      deviations = assessRisk(signals, deviations, DEFAULTS)!.deviations;
    }
    expect(deviations).toHaveLength(20);
    expect(deviations.at(-1)).toBe('?browser:Browser_49');
  });

  it('admins have their own response to another country', () => {
    const settings = {
      suspicionCountry: 'reauthenticate',
      adminSuspicionCountry: 'end',
      suspicionTravel: 'notify',
      suspicionBrowser: 'off',
    } as const;
    expect(responsesFor(['user'], settings)).toEqual({
      country: 'reauthenticate',
      travel: 'notify',
      browser: 'off',
    });
    expect(responsesFor(['user', 'admin'], settings).country).toBe('end');
  });
});

describe('the travel signal', () => {
  const REAUTHENTICATE: Responses = { country: 'off', travel: 'reauthenticate', browser: 'off' };
  const NEAR_BERLIN = { latitude: 52.4, longitude: 13.1 };
  const travel = (from: typeof VIENNA, to: typeof VIENNA) =>
    signalsOf(session({ location: { ...from, at: NOW } }), looks({ country: 'AT', at: to }), NOW);

  it('a proof acknowledges both ends of a journey and the places near them, and no third place', () => {
    const proven = acknowledged([], travel(VIENNA, BERLIN));
    for (const [from, to] of [
      [VIENNA, BERLIN],
      [BERLIN, VIENNA],
      [NEAR_BERLIN, VIENNA],
      [VIENNA, NEAR_BERLIN],
    ] as const)
      expect(assessRisk(travel(from, to), proven, REAUTHENTICATE)).toBeNull();
    expect(assessRisk(travel(BERLIN, AUCKLAND), proven, REAUTHENTICATE)?.response).toBe('reauthenticate');
  });

  it('the user is notified once for each place, in either direction', () => {
    const responses: Responses = { ...REAUTHENTICATE, travel: 'notify' };
    const first = assessRisk(travel(VIENNA, BERLIN), [], responses)!;
    expect(first.isNew).toBe(true);
    expect(assessRisk(travel(NEAR_BERLIN, VIENNA), first.deviations, responses)).toBeNull();
    expect(assessRisk(travel(VIENNA, NEAR_BERLIN), first.deviations, responses)).toMatchObject({
      isNew: false,
    });
    expect(assessRisk(travel(VIENNA, AUCKLAND), first.deviations, responses)).toMatchObject({ isNew: true });
  });

  it('a proof by the owner does not acknowledge the place of a thief that the owner was notified of', () => {
    const told = assessRisk(travel(VIENNA, AUCKLAND), [], { ...REAUTHENTICATE, travel: 'notify' })!;
    const proven = acknowledged(told.deviations, travel(AUCKLAND, VIENNA));
    expect(assessRisk(travel(VIENNA, AUCKLAND), proven, REAUTHENTICATE)?.response).toBe('reauthenticate');
  });
});
