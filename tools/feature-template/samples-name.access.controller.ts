import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, Post, Put } from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import {
  ApiProblems,
  CurrentSession,
  CurrentUser,
  RequireSession,
  uuid,
  type Principal,
  type SessionSnapshot,
} from '#core';
import { SampleInput, SampleList, SampleView, sampleView } from './sample-name.schemas.js';
import { SamplesService } from './samples-name.service.js';

/**
 * The samples text of the caller. A valid access token is enough to read them. A write requires a live session, which the
 * session fence needs.
 */
@ApiTags('samples-name')
@Controller('samples-name')
export class SamplesController {
  constructor(private readonly samples: SamplesService) {}

  @Get()
  @ApiOperation({ summary: 'List my samples text', description: 'The newest 100.' })
  @ApiOkResponse({ standardSchema: SampleList })
  async list(@CurrentUser() { userId }: Principal) {
    return { items: (await this.samples.list(userId)).map(sampleView) };
  }

  @Get(':id')
  @ApiOperation({ summary: 'Read one of my samples text' })
  @ApiOkResponse({ standardSchema: SampleView })
  @ApiProblems('request.invalid', 'resource.not_found')
  async read(@Param('id', { schema: uuid }) id: string, @CurrentUser() { userId }: Principal) {
    return sampleView(await this.samples.find(userId, id));
  }

  @Post()
  @RequireSession()
  @ApiOperation({ summary: 'Create a sample text' })
  @ApiCreatedResponse({ standardSchema: SampleView })
  @ApiProblems('request.invalid')
  async create(
    @Body({ schema: SampleInput }) input: SampleInput,
    @CurrentSession() session: SessionSnapshot,
  ) {
    return sampleView(await this.samples.create(session, input));
  }

  @Put(':id')
  @RequireSession()
  @ApiOperation({ summary: 'Change one of my samples text' })
  @ApiOkResponse({ standardSchema: SampleView })
  @ApiProblems('request.invalid', 'resource.not_found')
  async change(
    @Param('id', { schema: uuid }) id: string,
    @Body({ schema: SampleInput }) input: SampleInput,
    @CurrentSession() session: SessionSnapshot,
  ) {
    return sampleView(await this.samples.change(session, id, input));
  }

  @Delete(':id')
  @RequireSession()
  @ApiOperation({ summary: 'Delete one of my samples text' })
  @HttpCode(HttpStatus.NO_CONTENT)
  @ApiNoContentResponse()
  @ApiProblems('request.invalid', 'resource.not_found')
  async delete(@Param('id', { schema: uuid }) id: string, @CurrentSession() session: SessionSnapshot) {
    await this.samples.delete(session, id);
  }
}
