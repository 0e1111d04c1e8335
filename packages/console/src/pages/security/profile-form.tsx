import type { Profile } from '@drawbridge/client';
import { useState } from 'preact/hooks';
import { request } from '../../api.js';
import { loadSession } from '../../session.js';
import { texts } from '../../texts.js';
import { Field, Form } from '../../ui/controls.js';
import { Notice } from '../../ui/notices.js';
import { useAction } from '../../ui/use-action.js';

const t = texts.security;

export function ProfileForm({ user }: { user: Profile }) {
  const [isSaved, setSaved] = useState(false);
  const save = useAction(async ({ displayName }: Record<string, string>) => {
    setSaved(false);
    await request('PATCH /v1/users/me', { body: { displayName: displayName || null } });
    setSaved(true);
    await loadSession();
  });
  return (
    <Form action={save} submit={t.save}>
      <Field
        label={t.displayName}
        name="displayName"
        maxLength={100}
        autocomplete="name"
        defaultValue={user.displayName ?? ''}
      />
      {isSaved && <Notice kind="good">{t.saved}</Notice>}
    </Form>
  );
}
