import { reauthenticateWithPasskey } from '@drawbridge/client/passkeys';
import { useEffect, useState } from 'preact/hooks';
import { api, onSessionEnded } from '../api.js';
import { outsideSignInUrl } from '../outside-sign-in.js';
import { pendingProof, type PendingProof } from '../step-up.js';
import { useStore } from '../store.js';
import { texts } from '../texts.js';
import { Button, Field, Form } from './controls.js';
import { Dialog } from './dialog.js';
import { ErrorNotice, Loading } from './notices.js';
import { PasswordField } from './password-field.js';
import { findProofs, type Proofs } from './proofs.js';
import { useAction } from './use-action.js';

const t = texts.stepUp;

/** Asks for a proof of identity where the user is. The request that needed it is then sent again. */
export function StepUpDialog() {
  const pending = useStore(pendingProof);
  return pending && <ProofDialog {...pending} />;
}

function ProofDialog({ needsSecondFactor, settle }: PendingProof) {
  const [proofs, setProofs] = useState<Proofs>();
  useEffect(() => void findProofs(needsSecondFactor).then(setProofs), []);
  // The sign-in page must not lie under the dialog.
  useEffect(() => onSessionEnded(() => settle(false)), []);
  return (
    <Dialog title={t.title} onClose={() => settle(false)}>
      {proofs ? <ProofForm {...proofs} settle={settle} /> : <Loading />}
    </Dialog>
  );
}

function ProofForm({ typed, passkey, providers, settle }: Proofs & Pick<PendingProof, 'settle'>) {
  const prove = useAction(async ({ password, code }: Record<string, string>) => {
    await api.reauthenticate(code === undefined ? { password: password! } : { code });
    settle(true);
  });
  const usePasskey = useAction(async () => {
    await reauthenticateWithPasskey(api);
    settle(true);
  });
  const others = (
    <>
      {passkey && (
        <Button kind={typed ? 'plain' : 'primary'} isBusy={usePasskey.isRunning} onClick={usePasskey.run}>
          {t.usePasskey}
        </Button>
      )}
      {providers.map(({ id, name }) => (
        <Button key={id} kind="primary" onClick={() => location.assign(outsideSignInUrl(id))}>
          {texts.outside.signInWith(name)}
        </Button>
      ))}
      <Button onClick={() => settle(false)}>{texts.common.cancel}</Button>
    </>
  );
  return (
    <>
      <p>{explanationOf({ typed, passkey, providers })}</p>
      {typed ? (
        <Form action={prove} submit={t.submit} beside={others}>
          <ProofField typed={typed} />
        </Form>
      ) : (
        <div class="actions">{others}</div>
      )}
      <ErrorNotice error={usePasskey.error} />
    </>
  );
}

function ProofField({ typed }: { typed: 'password' | 'code' }) {
  if (typed === 'password')
    return <PasswordField label={t.password} name="password" autocomplete="current-password" autofocus />;
  return (
    <Field
      label={t.code}
      name="code"
      required
      maxLength={64}
      autocomplete="one-time-code"
      spellcheck={false}
      autofocus
    />
  );
}

function explanationOf({ typed, passkey }: Proofs): string {
  if (typed) return typed === 'password' ? t.explainPassword : t.explainCode;
  return passkey ? t.explainPasskey : t.explainOutside;
}
