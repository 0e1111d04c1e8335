import { useState } from 'preact/hooks';
import { request } from '../../api.js';
import { texts } from '../../texts.js';
import { Button, Form } from '../../ui/controls.js';
import { ErrorNotice, Notice } from '../../ui/notices.js';
import { PasswordField } from '../../ui/password-field.js';
import { useAction } from '../../ui/use-action.js';

const t = texts.security;

interface PasswordProps {
  hasPassword: boolean;
  email: string;
}

export function Password({ hasPassword, email }: PasswordProps) {
  return hasPassword ? <PasswordChange email={email} /> : <NoPassword email={email} />;
}

function PasswordChange({ email }: { email: string }) {
  // A new key empties the fields after a change.
  const [changes, setChanges] = useState(0);
  const change = useAction(async ({ currentPassword, newPassword }: Record<string, string>) => {
    const body = { currentPassword: currentPassword!, newPassword: newPassword! };
    await request('POST /v1/auth/password/change', { body });
    setChanges(changes + 1);
  });
  return (
    <>
      <p class="quiet">{t.passwordExplained}</p>
      <Form key={changes} action={change} submit={t.changePassword} kind="plain">
        {/* Password managers read it: they store the new password for this user. */}
        <input hidden name="username" autocomplete="username" value={email} readOnly />
        <PasswordField label={t.currentPassword} name="currentPassword" autocomplete="current-password" />
        <PasswordField label={t.newPassword} name="newPassword" autocomplete="new-password" />
        {changes > 0 && !change.error && <Notice kind="good">{t.passwordChanged}</Notice>}
      </Form>
    </>
  );
}

function NoPassword({ email }: { email: string }) {
  const [isSent, setSent] = useState(false);
  const send = useAction(async () => {
    await request('POST /v1/auth/password/forgot', { body: { email }, anonymous: true });
    setSent(true);
  });
  return (
    <>
      <p>{t.noPassword}</p>
      {isSent ? (
        <Notice kind="good">{t.passwordLinkSent(email)}</Notice>
      ) : (
        <Button isBusy={send.isRunning} onClick={send.run}>
          {t.sendPasswordLink}
        </Button>
      )}
      <ErrorNotice error={send.error} />
    </>
  );
}
