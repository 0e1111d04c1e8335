import type { Operations } from '@drawbridge/client';
import { useState } from 'preact/hooks';
import { request } from '../../api.js';
import { texts } from '../../texts.js';
import { Button } from '../../ui/controls.js';
import { ConfirmButton } from '../../ui/dialog.js';
import { ErrorNotice, Loaded } from '../../ui/notices.js';
import { Time } from '../../ui/time.js';
import { useAction } from '../../ui/use-action.js';
import { useResource } from '../../ui/use-resource.js';
import { AppEnrolment } from './app-enrolment.js';
import { RecoveryCodes } from './recovery-codes.js';

type Factors = Operations['GET /v1/auth/mfa']['answer'];

const t = texts.security;

/** The authenticator app of the user, and its recovery codes. @param onAdded called when the codes are stored */
export function AuthenticatorApp({ onAdded }: { onAdded?: () => unknown }) {
  const factors = useResource('GET /v1/auth/mfa');
  const [codes, setCodes] = useState<string[]>();
  const [isNew, setNew] = useState(false);
  const showCodes = (codes: string[]) => {
    setCodes(codes);
    void factors.reload();
  };
  if (codes)
    return (
      <RecoveryCodes
        codes={codes}
        onDone={() => {
          setCodes(undefined);
          if (isNew) void onAdded?.();
        }}
      />
    );
  return (
    <>
      <p class="quiet">{t.appExplained}</p>
      <Loaded resource={factors}>
        {({ totp, recoveryCodesLeft }) =>
          totp ? (
            <Enrolled
              totp={totp}
              recoveryCodesLeft={recoveryCodesLeft}
              onCodes={showCodes}
              onRemoved={factors.reload}
            />
          ) : (
            <AddApp
              onCodes={(codes) => {
                setNew(true);
                showCodes(codes);
              }}
            />
          )
        }
      </Loaded>
    </>
  );
}

interface EnrolledProps extends Pick<Factors, 'recoveryCodesLeft'> {
  totp: NonNullable<Factors['totp']>;
  onCodes: (codes: string[]) => void;
  onRemoved: () => Promise<void>;
}

function Enrolled({ totp, recoveryCodesLeft, onCodes, onRemoved }: EnrolledProps) {
  const renew = async () => onCodes((await request('POST /v1/auth/mfa/recovery-codes')).recoveryCodes);
  const remove = async () => {
    await request('DELETE /v1/auth/mfa/totp');
    await onRemoved();
  };
  return (
    <>
      <p>
        {t.appAdded} <Time at={totp.addedAt} />. {t.codesLeft(recoveryCodesLeft)}
      </p>
      <div class="actions">
        <ConfirmButton title={t.renewCodes} act={renew}>
          {t.renewCodesExplained}
        </ConfirmButton>
        <ConfirmButton title={t.removeApp} act={remove}>
          {t.removeAppExplained}
        </ConfirmButton>
      </div>
    </>
  );
}

function AddApp({ onCodes }: { onCodes: (codes: string[]) => void }) {
  const [enrolment, setEnrolment] = useState<Operations['POST /v1/auth/mfa/totp']['answer']>();
  const begin = useAction(async () => setEnrolment(await request('POST /v1/auth/mfa/totp')));
  if (enrolment)
    return <AppEnrolment {...enrolment} onCodes={onCodes} onCancel={() => setEnrolment(undefined)} />;
  return (
    <>
      <Button isBusy={begin.isRunning} onClick={begin.run}>
        {t.addApp}
      </Button>
      <ErrorNotice error={begin.error} />
    </>
  );
}
