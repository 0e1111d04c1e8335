import { Module } from '@nestjs/common';
import { ServerModule } from '../server/server.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { HealthController } from './health.controller.js';

@Module({ imports: [ServerModule, SessionsModule], controllers: [HealthController] })
export class HealthModule {}
