import { useState } from 'preact/hooks';
import { request } from '../../api.js';
import { texts } from '../../texts.js';
import { Field, Form } from '../../ui/controls.js';
import { Notice } from '../../ui/notices.js';
import { useAction } from '../../ui/use-action.js';

const t = texts.security;

/** Changes the address. The page does not tell whether the new one is taken: a mail to it does. */
export function EmailAddress({ email: current }: { email: string }) {
  const [requested, setRequested] = useState<string>();
  const [email, setEmail] = useState('');
  const change = useAction(async () => {
    setRequested(undefined);
    await request('POST /v1/auth/email/change', { body: { email } });
    setRequested(email);
    setEmail('');
  });
  return (
    <>
      <p>{t.currentEmail(current)}</p>
      <Form action={change} submit={t.changeEmail} kind="plain">
        <Field
          label={t.newEmail}
          name="email"
          type="email"
          required
          maxLength={254}
          autocomplete="email"
          value={email}
          onInput={(event) => setEmail(event.currentTarget.value)}
        />
        {requested !== undefined && <Notice kind="good">{t.emailRequested(requested)}</Notice>}
      </Form>
    </>
  );
}
