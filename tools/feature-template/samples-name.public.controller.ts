import { Body, Controller, Delete, Get, HttpCode, HttpStatus, Param, Post, Put } from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import { ApiProblems, CurrentSession, Public, RequireSession, uuid, type SessionSnapshot } from '#core';
import { SampleInput, SampleList, SampleView, sampleView } from './sample-name.schemas.js';
import { SamplesService } from './samples-name.public.service.js';

/**
 * Everyone may read the samples text, also without a login. A write requires a live session, and a user changes and
 * deletes only their own.
 */
@ApiTags('samples-name')
@Controller('samples-name')
export class SamplesController {
  constructor(private readonly samples: SamplesService) {}

  @Get()
  @Public()
  @ApiOperation({ summary: 'List the samples text', description: 'The newest 100.' })
  @ApiOkResponse({ standardSchema: SampleList })
  async list() {
    return { items: (await this.samples.list()).map(sampleView) };
  }

  @Get(':id')
  @Public()
  @ApiOperation({ summary: 'Read a sample text' })
  @ApiOkResponse({ standardSchema: SampleView })
  @ApiProblems('request.invalid', 'resource.not_found')
  async read(@Param('id', { schema: uuid }) id: string) {
    return sampleView(await this.samples.find(id));
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
