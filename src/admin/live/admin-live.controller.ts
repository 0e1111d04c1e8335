import { Controller, Sse, type MessageEvent } from '@nestjs/common';
import { ApiExtension, ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import type { Observable } from 'rxjs';
import { z } from 'zod';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { EVENT_STREAM } from '../../platform/api/schemas.js';
import { AdminOnly } from '../admin.decorator.js';
import { LIVE_EVENTS } from './live.schemas.js';
import { LiveView } from './live-view.service.js';

const names = Object.keys(LIVE_EVENTS)
  .map((name) => `\`${name}\``)
  .join(', ');
const description = `${names}, with the data that \`x-events\` describes; ${EVENT_STREAM.description}`;
const schemas = Object.fromEntries(
  Object.entries(LIVE_EVENTS).map(([name, schema]) => [name, z.toJSONSchema(schema)]),
);

/** The live view: what all instances do, and when each revocation arrives where. */
@Controller('admin/live')
@AdminOnly()
export class AdminLiveController {
  constructor(private readonly view: LiveView) {}

  /** Server-sent events about all instances, until the session ends. */
  @Sse()
  @ApiOperation({ summary: 'Watch all instances and revocations' })
  @ApiOkResponse({ ...EVENT_STREAM, description })
  @ApiExtension('x-events', schemas)
  @ApiProblems('request.rate_limited')
  stream(): Observable<MessageEvent> {
    return this.view.events;
  }
}
