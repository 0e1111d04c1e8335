import { Module } from '@nestjs/common';
import { SessionsModule } from '../sessions/sessions.module.js';
import { MetricsController } from './metrics.controller.js';
import { MetricsService } from './metrics.service.js';

@Module({ imports: [SessionsModule], controllers: [MetricsController], providers: [MetricsService] })
export class MetricsModule {}
