import { Controller, Get, Module } from '@nestjs/common';
import { ApiOkResponse } from '@nestjs/swagger';
import { z } from 'zod';
import { CurrentSession } from '../../src/sessions/check/current-session.decorator.js';
import { RequireSession } from '../../src/sessions/check/require-session.decorator.js';
import type { SessionSnapshot } from '../../src/sessions/check/session-snapshot.js';

@Controller('strict')
class StrictController {
  @Get()
  @RequireSession({ consistency: 'strict' })
  @ApiOkResponse({ standardSchema: z.object({ id: z.string() }) })
  strict(@CurrentSession() { id }: SessionSnapshot) {
    return { id };
  }
}

/** A route of the strict tier, which our own routes do not use but forks may. */
@Module({ controllers: [StrictController] })
export class StrictModule {}
