import { Module } from '@nestjs/common';
import { SessionsModule } from '../sessions/sessions.module.js';
import { MetricsController } from './metrics.controller.js';
import { MetricsService } from './metrics.service.js';
import { SessionMetrics } from './session.metrics.js';
import { StoreMetrics } from './store.metrics.js';

@Module({
  imports: [SessionsModule],
  controllers: [MetricsController],
  providers: [MetricsService, SessionMetrics, StoreMetrics],
})
export class MetricsModule {}
