import { ApiProblem } from '@drawbridge/client';
import { signInWithPasskey } from '@drawbridge/client/passkeys';
import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from '../../api.js';
import { offersPasskeysInAutofill } from '../../passkeys.js';
import { signedIn } from '../../session.js';
import { useAction, type Action } from '../../ui/use-action.js';

/** The server accepts an answer for five minutes. */
const RENEW_AFTER_MS = 4 * 60_000;

/**
 * Login with a passkey: the action asks for one, and until then the autofill of the form offers them. A browser
 * accepts one request for a passkey at a time, so the action ends the offer first.
 */
export function usePasskeySignIn(): Action<[]> {
  const [refusal, setRefusal] = useState<unknown>();
  const offer = useRef<{ controller: AbortController; over: Promise<void> }>(undefined);
  const begin = () => {
    const controller = new AbortController();
    offer.current = { controller, over: offerPasskeys(controller.signal, setRefusal) };
  };
  const end = () => {
    offer.current?.controller.abort();
    return offer.current?.over;
  };
  useEffect(() => {
    begin();
    return () => void end();
  }, []);
  const action = useAction(async () => {
    setRefusal(undefined);
    await end();
    try {
      await signInWithPasskey(api);
    } catch (error) {
      begin();
      throw error;
    }
    await signedIn();
  });
  return { ...action, error: action.error ?? refusal };
}

/** Resolves when a passkey has logged in, or when the offer has ended. */
async function offerPasskeys(signal: AbortSignal, onRefused: (error: unknown) => void): Promise<void> {
  if (!(await offersPasskeysInAutofill())) return;
  while (!signal.aborted) {
    const round = AbortSignal.any([signal, AbortSignal.timeout(RENEW_AFTER_MS)]);
    try {
      await signInWithPasskey(api, { mediation: 'conditional', signal: round });
      return await signedIn();
    } catch (error) {
      if (error instanceof ApiProblem) onRefused(error);
      else if (!round.aborted) return; // The user has asked for nothing, so nothing is shown.
    }
  }
}
