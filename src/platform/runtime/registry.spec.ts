import { describe, expect, it, jest } from '@jest/globals';

/** The registries as a new process has them, so that a fault of one test does not reach another. */
async function fresh() {
  jest.resetModules();
  const [registry, roles, problems, events, mails, rendering] = await Promise.all([
    import('./registry.js'),
    import('../../roles.js'),
    import('../api/problem.js'),
    import('../audit/audit-event-types.js'),
    import('../mail/define-mail.js'),
    import('../mail/content/render-mail.js'),
  ]);
  return { ...registry, ...roles, ...problems, ...events, ...mails, ...rendering };
}

const TEXTS = { status: 409, title: 'Full', detail: 'Choose a larger plan.' } as const;
const CONTENT = () => ({ subject: 'x', paragraphs: ['y'] });

describe('The definitions of a feature', () => {
  it('Definitions with new names leave the boot unchanged, and are listed beside those of the core', async () => {
    const core = await fresh();
    core.defineRole('support', { privileged: true });
    core.defineProblem('billing.over_limit', TEXTS);
    core.defineAuditEvent('plan_changed');
    core.defineMail('invoice', CONTENT);
    expect(() => core.requireFaultless()).not.toThrow();
    expect(core.ROLES.names()).toEqual(['user', 'admin', 'support']);
    expect(core.PROBLEMS.names()).toEqual(expect.arrayContaining(['auth.forbidden', 'billing.over_limit']));
    expect(core.MAILS.names()).toEqual(['invoice']);
  });

  it.each<[string, (core: Awaited<ReturnType<typeof fresh>>) => unknown]>([
    ["defineRole('support')", ({ defineRole }) => [1, 2].map(() => defineRole('support'))],
    ["defineRole('admin')", ({ defineRole }) => defineRole('admin')],
    ["defineProblem('auth.forbidden')", ({ defineProblem }) => defineProblem('auth.forbidden', TEXTS)],
    ["defineAuditEvent('user_banned')", ({ defineAuditEvent }) => defineAuditEvent('user_banned')],
    ["defineMail('invoice')", ({ defineMail }) => [1, 2].map(() => defineMail('invoice', CONTENT))],
  ])('The boot stops for a name that is defined already: %s', async (call, define) => {
    const core = await fresh();
    define(core);
    expect(() => core.requireFaultless()).toThrow(`${call}: this name exists already; choose another one`);
  });

  it.each<[string, (core: Awaited<ReturnType<typeof fresh>>) => unknown]>([
    ["defineRole('Support')", ({ defineRole }) => defineRole('Support')],
    ["defineProblem('over_limit')", ({ defineProblem }) => defineProblem('over_limit', TEXTS)],
    ["defineAuditEvent('plan changed')", ({ defineAuditEvent }) => defineAuditEvent('plan changed')],
    ["defineMail('your invoice')", ({ defineMail }) => defineMail('your invoice', CONTENT)],
  ])('The boot stops for a name in the wrong form: %s', async (call, define) => {
    const core = await fresh();
    define(core);
    expect(() => core.requireFaultless()).toThrow(`${call}: the name must match`);
  });

  it('The boot names all wrong definitions at once', async () => {
    const core = await fresh();
    core.defineRole('admin');
    core.defineAuditEvent('user_banned');
    expect(() => core.requireFaultless()).toThrow(/defineRole.*\n.*defineAuditEvent/);
  });

  it('A typing error in a name does not compile', async () => {
    const { defineMail, defineProblem, defineRole, isPrivileged, Problem, render } = await fresh();
    const full = new Problem(defineProblem('billing.over_limit', TEXTS));
    expect([full.status, new Problem('auth.forbidden').status]).toEqual([409, 403]);
    // @ts-expect-error -- neither a code of the core nor one that a define call has returned
    const typo = () => new Problem('billing.over_limt').status;
    expect(typo).toThrow('defineProblem');
    // @ts-expect-error -- neither a role of the core nor one that a define call has returned
    isPrivileged(['suport']);
    // @ts-expect-error -- a role is no code of a problem
    const confused = () => new Problem(defineRole('support')).status;
    expect(confused).toThrow('defineProblem');
    const invoice = defineMail('invoice', ({ number }: { number: string }) => ({
      subject: 'Your invoice',
      paragraphs: [number],
    }));
    // @ts-expect-error -- not the data of this mail
    expect(render(invoice, { numbr: '1' }).text).not.toMatch(/^1$/m);
    expect(render(invoice, { number: '1' }).text).toMatch(/^1$/m);
  });

  it('A role is privileged only if its definition says so', async () => {
    const { defineRole, isPrivileged, privilegedRoles } = await fresh();
    const [support, editor] = [defineRole('support', { privileged: true }), defineRole('editor')];
    expect([['user', editor] as const, ['user', support] as const].map(isPrivileged)).toEqual([false, true]);
    expect(privilegedRoles()).toEqual(['admin', support]);
  });
});
