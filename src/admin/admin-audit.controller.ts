import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import { z } from 'zod';
import { AuditService } from '../platform/audit/audit.service.js';
import { Actor, type ActorContext } from '../platform/api/actor.decorator.js';
import { ApiProblems } from '../platform/api/api-problems.decorator.js';
import { decodeCursor, pageOf } from '../platform/api/page.js';
import { AdminOnly } from './admin.decorator.js';
import { AuditPage, AuditQuery, Seq } from './admin.schemas.js';

/** Lists audit events. Each read is an audit event itself. */
@Controller('admin/audit-events')
@AdminOnly()
export class AdminAuditController {
  constructor(private readonly audit: AuditService) {}

  @Get()
  @ApiOperation({
    summary: 'List audit events',
    description: 'Newest first, in pages. Each read is an audit event itself.',
  })
  @ApiOkResponse({ standardSchema: AuditPage })
  @ApiProblems('request.invalid')
  async list(
    @Query({ schema: AuditQuery }) { limit, cursor, ...filter }: z.output<typeof AuditQuery>,
    @Actor() actor: ActorContext,
  ) {
    const before = decodeCursor(cursor, Seq);
    const found = await this.audit.read({ ...filter, before, limit: limit + 1 }, actor);
    return pageOf(found, limit, {
      view: ({ at, ...event }) => ({ ...event, at: at.toISOString() }),
      position: ({ id }) => id,
    });
  }
}
