import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { z } from 'zod';
import { AuditService } from '../audit/audit.service.js';
import { ApiProblems } from '../common/api-problems.decorator.js';
import { decodeCursor, pageOf } from '../common/page.js';
import { AdminOnly } from './admin.decorator.js';
import { AuditPage, AuditQuery, Seq } from './admin.schemas.js';

@Controller('admin/audit-events')
@AdminOnly()
export class AdminAuditController {
  constructor(private readonly audit: AuditService) {}

  @Get()
  @ApiOkResponse({ standardSchema: AuditPage })
  @ApiProblems('request.invalid')
  async list(@Query({ schema: AuditQuery }) { limit, cursor, ...filter }: z.output<typeof AuditQuery>) {
    const found = await this.audit.list({ ...filter, before: decodeCursor(cursor, Seq), limit: limit + 1 });
    return pageOf(found, limit, {
      view: ({ at, ...event }) => ({ ...event, at: at.toISOString() }),
      position: ({ id }) => id,
    });
  }
}
