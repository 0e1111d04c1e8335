import { Module } from '@nestjs/common';
import { DelegateAdmissions } from './delegate-admissions.js';

@Module({ providers: [DelegateAdmissions], exports: [DelegateAdmissions] })
export class DelegatesModule {}
