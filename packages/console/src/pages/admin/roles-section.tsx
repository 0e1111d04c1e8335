import type { AdminUser } from '@drawbridge/client';
import { useState } from 'preact/hooks';
import { request } from '../../api.js';
import { loadSession, sessionState } from '../../session.js';
import { texts } from '../../texts.js';
import { CheckList, checkedOf } from '../../ui/choices.js';
import { Form } from '../../ui/controls.js';
import { Notice } from '../../ui/notices.js';
import { Section } from '../../ui/page.js';
import { useAction } from '../../ui/use-action.js';

const t = texts.admin;
type Role = AdminUser['roles'][number];

interface RolesSectionProps {
  user: AdminUser;
  onChange: () => Promise<void>;
}

export function RolesSection({ user: { id, roles }, onChange }: RolesSectionProps) {
  const [isSaved, setSaved] = useState(false);
  const save = useAction(async (values: Record<string, string>) => {
    setSaved(false);
    const body = { roles: checkedOf(values, 'role') as Role[] };
    await request('PUT /v1/admin/users/{id}/roles', { params: { id }, body });
    if (isOwn(id)) await loadSession(); // the pages of the console depend on the roles
    await onChange();
    setSaved(true);
  });
  return (
    <Section title={t.roles}>
      <Form action={save} submit={t.saveRoles}>
        <CheckList
          legend={t.rolesOfUser}
          name="role"
          choices={Object.entries(t.roleNames).map(([value, text]) => ({ value, text }))}
          checked={roles}
        />
      </Form>
      {isSaved && <Notice kind="good">{t.rolesSaved}</Notice>}
    </Section>
  );
}

function isOwn(userId: string): boolean {
  const { value } = sessionState;
  return value.kind === 'signed-in' && value.user.id === userId;
}
