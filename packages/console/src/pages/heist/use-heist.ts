import { useEffect, useRef, useState } from 'preact/hooks';
import { loadSession } from '../../session.js';
import { tryLootAgain, type Act, type Report } from './heist-api.js';
import { attacksThisBrowser, perform } from './perform.js';

export interface Options {
  /** The forum is served with the policy of the console. */
  contentSecurityPolicy: boolean;
  /** The user opens the pages in tabs. Otherwise they appear in frames. */
  inTabs: boolean;
}

export interface Run extends Options {
  report: Report;
}

export interface Heist {
  /** The act that runs, or ran last. Only its pages are open. */
  active: Act | null;
  /** The act has no result yet. */
  isRunning: boolean;
  error?: unknown;
  /** The last run of each act. */
  runs: Partial<Record<Act, Run>>;
}

interface UseHeist extends Heist {
  /** Starts an act. An act that still runs is given up. */
  start(act: Act, options: Options): Promise<void>;
  letThiefTryAgain(act: Act): Promise<void>;
}

/** The acts of the page, of which one runs at a time: they share the cookies and the storage of the browser. */
export function useHeist(): UseHeist {
  const [heist, setHeist] = useState<Heist>({ active: null, isRunning: false, runs: {} });
  const current = useRef<AbortController>(undefined);
  useEffect(() => () => current.current?.abort(), []);

  async function start(act: Act, options: Options): Promise<void> {
    current.current?.abort();
    const { signal } = (current.current = new AbortController());
    setHeist(({ runs }) => ({ active: act, isRunning: true, runs: { ...runs, [act]: undefined } }));
    try {
      for await (const report of perform(act, options.contentSecurityPolicy, signal))
        if (!signal.aborted) setHeist((before) => withReport(before, report, options));
      if (attacksThisBrowser(act)) await loadSession();
    } catch (error) {
      if (!signal.aborted) setHeist((before) => ({ ...before, isRunning: false, error }));
    }
  }

  async function letThiefTryAgain(act: Act): Promise<void> {
    const run = heist.runs[act]!;
    const report = await tryLootAgain(run.report.id);
    setHeist((before) => withReport(before, report, run));
  }

  return { ...heist, start, letThiefTryAgain };
}

const withReport = (
  { runs, ...heist }: Heist,
  report: Report,
  { contentSecurityPolicy, inTabs }: Options,
): Heist => ({
  ...heist,
  isRunning: report.result === null,
  runs: { ...runs, [report.act]: { report, contentSecurityPolicy, inTabs } },
});
