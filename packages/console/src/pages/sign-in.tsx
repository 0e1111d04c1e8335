import type { MfaRequired } from '@drawbridge/client';
import { useEffect, useState } from 'preact/hooks';
import { useFragment } from '../fragment.js';
import { sessionState } from '../session.js';
import { useStore } from '../store.js';
import { texts } from '../texts.js';
import { Notice } from '../ui/notices.js';
import { Page } from '../ui/page.js';
import { EndedNotice } from './sign-in/ended-notice.js';
import { PasswordStep } from './sign-in/password-step.js';
import { SecondFactorStep } from './sign-in/second-factor-step.js';

/** What a login needs for its second step. */
export type Challenge = Pick<MfaRequired, 'challengeToken' | 'methods'>;

const t = texts.signIn;

/** Logs a user in. If the session of this page has just ended, it says why. The address stays as it is. */
export default function SignInPage() {
  const state = useStore(sessionState);
  const [challenge, setChallenge] = useState<Challenge>();
  const [refusal, setRefusal] = useState<string>();
  const result = useFragment();
  useEffect(() => {
    if (!result) return;
    setRefusal(result.get('social_error') ?? undefined);
    setChallenge(challengeIn(result));
  }, [result]);
  if (challenge)
    return (
      <div class="narrow">
        <Page title={t.secondFactorTitle}>
          <SecondFactorStep challenge={challenge} onCancel={() => setChallenge(undefined)} />
        </Page>
      </div>
    );
  return (
    <div class="narrow">
      <Page title={t.title}>
        {state.kind === 'signed-out' && state.ended && <EndedNotice {...state.ended} />}
        {refusal && (
          <Notice kind="bad">
            {(texts.outside.refusals as Record<string, string>)[refusal] ?? texts.common.unexpected}
          </Notice>
        )}
        <PasswordStep onChallenge={setChallenge} />
      </Page>
    </div>
  );
}

/** The second step of a sign-in with an outside account. See `docs/guides/outside-accounts.md`. */
function challengeIn(result: URLSearchParams): Challenge | undefined {
  if (result.get('social') !== 'mfa_required') return undefined;
  return {
    challengeToken: result.get('challengeToken') ?? '',
    methods: (result.get('methods') ?? '').split(',') as Challenge['methods'],
  };
}
