import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ChatGateway } from './chat/chat.gateway.js';
import { FeatureFlagsController } from './feature-flags/feature-flags.controller.js';
import { NotificationsController } from './notifications/notifications.controller.js';
import { NotificationsService } from './notifications/notifications.service.js';
import { Payment } from './payments/payment.entity.js';
import { PaymentRepository } from './payments/payment.repository.js';
import { PaymentsController } from './payments/payments.controller.js';
import { PaymentsService } from './payments/payments.service.js';

/**
 * One route of each tier, an event stream and a WebSocket, as examples. To remove the examples, delete this folder and its line in `features.ts`.
 */
@Module({
  imports: [TypeOrmModule.forFeature([Payment])],
  controllers: [FeatureFlagsController, NotificationsController, PaymentsController],
  providers: [ChatGateway, NotificationsService, PaymentRepository, PaymentsService],
})
export class ExamplesModule {}
