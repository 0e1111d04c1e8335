import { request } from '../../api.js';
import { texts } from '../../texts.js';
import { Button, Field, Form } from '../../ui/controls.js';
import { useAction } from '../../ui/use-action.js';
import { QrCode } from './qr-code.js';

const t = texts.security;

interface AppEnrolmentProps {
  secret: string;
  otpauthUrl: string;
  onCodes: (codes: string[]) => void;
  onCancel: () => void;
}

/** Shows the secret of a new authenticator app, which counts only after its first code. */
export function AppEnrolment({ secret, otpauthUrl, onCodes, onCancel }: AppEnrolmentProps) {
  const confirm = useAction(async ({ code }: Record<string, string>) => {
    const { recoveryCodes } = await request('POST /v1/auth/mfa/totp/confirm', { body: { code: code! } });
    onCodes(recoveryCodes);
  });
  return (
    <>
      <p>{t.scan}</p>
      <QrCode text={otpauthUrl} label={t.qrCode} />
      <p>
        {t.secret} <code class="secret">{secret.replace(/.{4}(?=.)/g, '$& ')}</code>
      </p>
      <Form
        action={confirm}
        submit={t.confirmApp}
        beside={<Button onClick={onCancel}>{texts.common.cancel}</Button>}
      >
        <Field
          label={t.firstCode}
          hint={t.replaceAppExplained}
          name="code"
          required
          inputMode="numeric"
          maxLength={64}
          autocomplete="one-time-code"
          autofocus
        />
      </Form>
    </>
  );
}
