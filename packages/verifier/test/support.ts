import { createVerifier, Refusal, type Verifier, type VerifierOptions } from '../src/index.js';
import { API_KEY, AUDIENCE, ISSUER, ScriptedApplication } from './scripted-application.js';
import { ScriptedTime, settle } from './scripted-time.js';

export interface Scene {
  time: ScriptedTime;
  application: ScriptedApplication;
  verifier: Verifier;
  /** The reasons of interruptions, and null for each end of one. */
  interruptions: (string | null)[];
  /** The answer to a request with this token: `accepted`, or the code of the refusal. */
  outcome(token: string, headers?: Record<string, string>): Promise<string>;
  /** Lets so many seconds pass, with a heartbeat in each. */
  beat(seconds?: number): Promise<void>;
}

export const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

/** A verifier that has the list, of an application without revocations. */
export async function startScene(options: Partial<VerifierOptions> = {}): Promise<Scene> {
  const time = new ScriptedTime();
  const application = new ScriptedApplication(time);
  return follow(time, application, options);
}

/** A verifier of an existing application. It has the list if the application answers. */
export async function follow(
  time: ScriptedTime,
  application: ScriptedApplication,
  options: Partial<VerifierOptions> = {},
): Promise<Scene> {
  const interruptions: (string | null)[] = [];
  const verifier = createVerifier({
    url: 'https://app.example/',
    issuer: ISSUER,
    audience: AUDIENCE,
    apiKey: API_KEY,
    whenBlind: 'deny',
    fetch: application.fetch as typeof fetch,
    time,
    random: () => 0.5,
    onInterruption: (reason) => void interruptions.push(reason),
    ...options,
  });
  await settle();
  const outcome = async (token: string, headers: Record<string, string> = {}) => {
    const request = { headers: { ...bearer(token).headers, ...headers } };
    const checked = (async () => verifier.check(request))();
    return checked.then(
      () => 'accepted',
      (error: unknown) => {
        if (error instanceof Refusal) return error.code;
        throw error;
      },
    );
  };
  const beat = async (seconds = 1) => {
    for (let second = 0; second < seconds; second += 1) {
      await time.advance(1_000);
      application.heartbeat();
      await settle();
    }
  };
  return { time, application, verifier, interruptions, outcome, beat };
}
