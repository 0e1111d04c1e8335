import { ApiProblem } from '@drawbridge/client';
import { signInWithPasskey } from '@drawbridge/client/passkeys';
import { api } from '../../api.js';
import { hasPasskeys } from '../../passkeys.js';
import { signedIn } from '../../session.js';
import { texts } from '../../texts.js';
import { Button, Field, Form } from '../../ui/controls.js';
import { ErrorNotice, Notice } from '../../ui/notices.js';
import { useAction } from '../../ui/use-action.js';
import type { Challenge } from '../sign-in.js';

const t = texts.signIn;

interface SecondFactorStepProps {
  challenge: Challenge;
  /** Returns to the first step. */
  onCancel: () => void;
}

/** The second step: a code of the authenticator app, a recovery code, or a passkey instead of both steps. */
export function SecondFactorStep({ challenge, onCancel }: SecondFactorStepProps) {
  const { challengeToken, methods } = challenge;
  const code = useAction(async ({ code }: Record<string, string>) => {
    await api.completeLogin({ challengeToken, code: code! });
    await signedIn();
  });
  const passkey = useAction(async () => {
    await signInWithPasskey(api);
    await signedIn();
  });
  const cancel = <Button onClick={onCancel}>{texts.common.cancel}</Button>;
  if (code.error instanceof ApiProblem && code.error.code === 'auth.invalid_token')
    return (
      <>
        <Notice kind="bad">{t.challengeOver}</Notice>
        <Button kind="primary" onClick={onCancel}>
          {t.startAgain}
        </Button>
      </>
    );
  return (
    <>
      <Form action={code} submit={t.submit} beside={cancel}>
        <Field
          label={t.code}
          hint={methods.includes('recovery_code') ? t.codeOrRecoveryHint : t.codeHint}
          name="code"
          required
          maxLength={64}
          autocomplete="one-time-code"
          spellcheck={false}
          autofocus
        />
      </Form>
      {methods.includes('passkey') && hasPasskeys && (
        <div class="actions">
          <Button isBusy={passkey.isRunning} onClick={passkey.run}>
            {t.usePasskey}
          </Button>
        </div>
      )}
      <ErrorNotice error={passkey.error} />
    </>
  );
}
