import { Module } from '@nestjs/common';
import { HttpModule } from '../platform/http/http.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { HealthController } from './health.controller.js';

@Module({ imports: [HttpModule, SessionsModule], controllers: [HealthController] })
export class HealthModule {}
