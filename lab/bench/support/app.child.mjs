/**
 * The unchanged application with one more controller: the same answer on each tier, so that they differ by their
 * guards alone. It is in the folder whose build it runs.
 */
import { Controller, Get, Module, Req } from '@nestjs/common';
import { AppModule } from '../../../dist/app.module.js';
import { AllowApiKey } from '../../../dist/auth/guards/allow-scope.decorator.js';
import { Public } from '../../../dist/auth/guards/public.decorator.js';
import { defineScope } from '../../../dist/scopes.js';
import { RequireSession } from '../../../dist/sessions/check/require-session.decorator.js';

const ANONYMOUS = {
  userId: '00000000-0000-4000-8000-000000000000',
  sessionId: '00000000-0000-7000-8000-000000000000',
  roles: ['user'],
  expiresAt: 0,
};

class TiersController {}
class TiersModule {}

const TIERS = {
  public: Public(),
  access: undefined,
  session: RequireSession(),
  strict: RequireSession({ consistency: 'strict' }),
  key: AllowApiKey(defineScope('bench:read', { description: 'Read the answers of the bench' })),
};

for (const [tier, decorator] of Object.entries(TIERS)) {
  const answer = ({ user = ANONYMOUS }) => ({
    userId: user.userId,
    sessionId: user.sessionId,
    roles: user.roles,
    expiresAt: new Date(user.expiresAt).toISOString(),
  });
  Object.defineProperty(TiersController.prototype, tier, {
    value: answer,
    configurable: true,
    writable: true,
  });
  const descriptor = Object.getOwnPropertyDescriptor(TiersController.prototype, tier);
  Req()(TiersController.prototype, tier, 0);
  for (const decorate of [Get(tier), decorator]) decorate?.(TiersController.prototype, tier, descriptor);
}
Controller('bench')(TiersController);
Module({ controllers: [TiersController] })(TiersModule);

const { forRoot } = AppModule;
AppModule.forRoot = (...given) => {
  const module = forRoot.apply(AppModule, given);
  return { ...module, imports: [...module.imports, TiersModule] };
};

await import('../../../dist/main.js');
