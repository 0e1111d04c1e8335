import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Sample } from './sample-name.entity.js';
import { SampleRepository } from './sample-name.repository.js';
import { SamplesController } from './samples-name.controller.js';
import { SamplesService } from './samples-name.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([Sample])],
  controllers: [SamplesController],
  providers: [SampleRepository, SamplesService],
})
export class SamplesModule {}
