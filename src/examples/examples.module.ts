import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { FeatureFlagsController } from './feature-flags/feature-flags.controller.js';
import { Payment } from './payments/payment.entity.js';
import { PaymentRepository } from './payments/payment.repository.js';
import { PaymentsController } from './payments/payments.controller.js';
import { PaymentsService } from './payments/payments.service.js';

/**
 * One route of each tier, as an example. To remove the examples, delete this folder and its line in `features.ts`.
 */
@Module({
  imports: [TypeOrmModule.forFeature([Payment])],
  controllers: [FeatureFlagsController, PaymentsController],
  providers: [PaymentRepository, PaymentsService],
})
export class ExamplesModule {}
