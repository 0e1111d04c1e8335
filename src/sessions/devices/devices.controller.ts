import { Body, Controller, Delete, Get, Param, Patch } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Actor, type ActorContext } from '../../platform/api/actor.decorator.js';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';
import { Problem } from '../../platform/api/problem.js';
import { uuid } from '../../platform/api/schemas.js';
import { AnswersReceipt } from '../revocation/answers-receipt.decorator.js';
import { CurrentSession } from '../check/current-session.decorator.js';
import { DeviceChanges, DeviceList, DeviceView, deviceViewOf } from './device.schemas.js';
import { DevicesService } from './devices.service.js';
import { RequireSession } from '../check/require-session.decorator.js';
import type { SessionSnapshot } from '../check/session-snapshot.js';
import { SessionsService } from '../sessions.service.js';

/** The browsers and apps that the user has logged in with. */
@ApiTags('devices')
@Controller('devices')
@RequireSession()
export class DevicesController {
  constructor(
    private readonly devices: DevicesService,
    private readonly sessions: SessionsService,
  ) {}

  @Get()
  @ApiOperation({
    summary: 'List my devices',
    description: 'A device is a browser or an app from which the caller has logged in.',
  })
  @ApiOkResponse({ standardSchema: DeviceList })
  async list(@CurrentSession() current: SessionSnapshot) {
    const devices = await this.devices.list(current.userId);
    const live = await this.sessions.list(current.userId);
    return { items: devices.map((device) => deviceViewOf(device, current, live)) };
  }

  @Patch(':id')
  @ApiOperation({ summary: 'Rename one of my devices' })
  @ApiOkResponse({ standardSchema: DeviceView })
  @ApiProblems('request.invalid', 'resource.not_found')
  async rename(
    @Param('id', { schema: uuid }) id: string,
    @Body({ schema: DeviceChanges }) { name }: z.infer<typeof DeviceChanges>,
    @CurrentSession() current: SessionSnapshot,
    @Actor() actor: ActorContext,
  ) {
    await this.devices.rename(current.userId, id, name, actor);
    const [device] = await this.devices.list(current.userId, id);
    if (!device) throw new Problem('resource.not_found');
    return deviceViewOf(device, current, await this.sessions.list(current.userId));
  }

  @Delete(':id/sessions')
  @ApiOperation({ summary: 'End all my sessions on one device' })
  @AnswersReceipt()
  endSessions(
    @Param('id', { schema: uuid }) id: string,
    @CurrentSession() { userId }: SessionSnapshot,
    @Actor() actor: ActorContext,
  ) {
    return this.devices.endSessions(userId, id, actor);
  }
}
