import { describe, expect, it } from '@jest/globals';
import {
  accepted,
  signalsOf,
  suspicionOf,
  type Appearance,
  type Familiar,
  type Responses,
} from './suspicion.js';

const HOUR = 3_600_000;
const NOW = 1_763_700_000_000;
const VIENNA = { latitude: 48.2, longitude: 16.37 };
const GRAZ = { latitude: 47.07, longitude: 15.44 };
const BERLIN = { latitude: 52.52, longitude: 13.4 };
const AUCKLAND = { latitude: -36.85, longitude: 174.76 };
const DEFAULTS: Responses = {
  suspicionCountry: 'end',
  suspicionTravel: 'notify',
  suspicionBrowser: 'notify',
};

const session = (what: Partial<Familiar> & { browser?: string } = {}): Familiar => ({
  originCountry: 'AT',
  location: null,
  deviations: [],
  ...what,
  device: { id: '', name: '', os: null, firstSeenAt: NOW, browser: what.browser ?? null },
});
const looks = (place: Appearance['place'], browser: string | null = null): Appearance => ({ place, browser });
const names = (familiar: Familiar, appearance: Appearance, now = NOW) =>
  signalsOf(familiar, appearance, now).map(({ name }) => name);

describe('what is unusual', () => {
  it.each<[string, Familiar, Appearance, string[]]>([
    ['the same country', session(), looks({ country: 'AT' }), []],
    ['another country', session(), looks({ country: 'DE' }), ['country']],
    ['a country that is not known', session(), looks(null), []],
    [
      'a session that began nobody knows where',
      session({ originCountry: null }),
      looks({ country: 'DE' }),
      [],
    ],
    ['the same browser', session({ browser: 'Firefox' }), looks(null, 'Firefox'), []],
    ['another browser', session({ browser: 'Firefox' }), looks(null, 'Chrome'), ['browser']],
    ['no browser where there was one', session({ browser: 'Firefox' }), looks(null), ['browser']],
    ['a program that is no browser and says another name', session(), looks(null, 'Chrome'), []],
  ])('%s', (_, familiar, appearance, expected) => {
    expect(names(familiar, appearance)).toEqual(expected);
  });

  it.each([
    ['Vienna to Graz at once: databases are off by more', VIENNA, GRAZ, 0, []],
    ['Vienna to Berlin within half an hour', VIENNA, BERLIN, 0.5, ['travel']],
    ['Vienna to Berlin by plane', VIENNA, BERLIN, 1, []],
    ['Vienna to Auckland within 19 hours', VIENNA, AUCKLAND, 19, ['travel']],
    ['Vienna to Auckland within 21 hours', VIENNA, AUCKLAND, 21, []],
    ['back in time, when clocks differ', VIENNA, BERLIN, -1, ['travel']],
  ])('%s', (_, from, to, hours, expected) => {
    const familiar = session({ location: { ...from, at: NOW - hours * HOUR } });
    expect(names(familiar, looks({ country: 'AT', at: to }))).toEqual(expected);
  });

  it('distances are those of the globe, also across the antimeridian', () => {
    const familiar = session({ location: { latitude: 0, longitude: 179.9, at: NOW } });
    expect(names(familiar, looks({ country: 'AT', at: { latitude: 0, longitude: -179.9 } }))).toEqual([]);
    const [far] = signalsOf(
      session({ location: { ...VIENNA, at: NOW - HOUR } }),
      looks({ country: 'AT', at: AUCKLAND }),
      NOW,
    );
    expect(far?.says).toBe('it was used 17900 km from where it had been 1 h before');
  });

  it('is said so that people understand it', () => {
    const says = signalsOf(session({ browser: 'Firefox' }), looks({ country: 'T1' }), NOW).map(
      (signal) => signal.says,
    );
    expect(says).toEqual([
      'it was used in the Tor network, and began in Austria',
      'it was used by something that is no browser, and not by Firefox',
    ]);
  });
});

describe('what is done about it', () => {
  const abroad = signalsOf(session({ browser: 'Firefox' }), looks({ country: 'DE' }, 'Chrome'), NOW);
  const respond = (settings: Partial<Responses>, deviations: string[] = []) =>
    suspicionOf(abroad, deviations, { ...DEFAULTS, ...settings });

  it.each<[string, Partial<Responses>, string | undefined]>([
    ['the strictest counts: end', {}, 'end'],
    [
      'then reauthenticate',
      { suspicionCountry: 'notify', suspicionBrowser: 'reauthenticate' },
      'reauthenticate',
    ],
    ['then notify', { suspicionCountry: 'off' }, 'notify'],
    ['off is nothing', { suspicionCountry: 'off', suspicionBrowser: 'off' }, undefined],
  ])('%s', (_, settings, response) => {
    expect(respond(settings)?.response).toBe(response);
  });

  it('what the person has been told of is not told again', () => {
    const first = respond({ suspicionCountry: 'notify' })!;
    expect(first).toMatchObject({ isNew: true, deviations: ['?country:DE', '?browser:Chrome'] });
    expect(respond({ suspicionCountry: 'notify' }, first.deviations)).toMatchObject({ isNew: false });
  });

  it('what waits for a proof is told once, and refused until it is proved', () => {
    const settings = { suspicionCountry: 'reauthenticate' } as const;
    const first = respond(settings)!;
    expect(first.deviations).toEqual(['?country:DE', '?browser:Chrome']);
    const second = respond(settings, first.deviations);
    expect(second).toMatchObject({ response: 'reauthenticate', isNew: false });
    const proven = accepted(first.deviations, abroad);
    expect(proven).toEqual(['country:DE', 'browser:Chrome']);
    expect(respond(settings, proven)).toBeNull();
    expect(respond({}, proven)).toBeNull();
  });

  it('being told is no proof, when the setting has become stricter since', () => {
    expect(respond({ suspicionCountry: 'end' }, ['?country:DE'])?.response).toBe('end');
  });

  it('another country than the one that was accepted is unusual again', () => {
    const elsewhere = signalsOf(session(), looks({ country: 'FR' }), NOW);
    expect(suspicionOf(elsewhere, ['country:DE'], DEFAULTS)?.response).toBe('end');
  });

  it('a session remembers a limited number, the latest', () => {
    let deviations: string[] = [];
    for (let browser = 0; browser < 50; browser++) {
      const signals = signalsOf(session({ browser: 'Firefox' }), looks(null, `Browser ${browser}`), NOW);
      deviations = suspicionOf(signals, deviations, DEFAULTS)!.deviations;
    }
    expect(deviations).toHaveLength(20);
    expect(deviations.at(-1)).toBe('?browser:Browser_49');
  });
});
