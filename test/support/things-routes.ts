import { Body, Controller, Delete, Get, HttpCode, Module, Param, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse } from '@nestjs/swagger';
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { CurrentUser } from '../../src/auth/guards/current-user.decorator.js';
import { ApiProblems } from '../../src/platform/api/api-problems.decorator.js';
import { Problem } from '../../src/platform/api/problem.js';
import type { Principal } from '../../src/platform/http/request.js';
import { text, uuid } from '../../src/platform/api/schemas.js';
import { RequireSession } from '../../src/sessions/check/require-session.decorator.js';
import type { Recipes } from './request-examples.js';

const NewThing = z.strictObject({ text: text({ max: 100 }) });
const ThingView = z.object({ id: uuid, text: z.string() });

/** Things of users, as the module of a fork has them: created under a live session, read by the token alone. */
@Controller('things')
class ThingsController {
  private readonly things = new Map<string, { userId: string; text: string }>();

  /** Strict, so that it is refused as soon as the session has ended. */
  @Post()
  @RequireSession({ consistency: 'strict' })
  @ApiCreatedResponse({ standardSchema: ThingView })
  @ApiProblems('request.invalid')
  make(@CurrentUser() { userId }: Principal, @Body({ schema: NewThing }) thing: z.infer<typeof NewThing>) {
    const id = randomUUID();
    this.things.set(id, { userId, text: thing.text });
    return { id, text: thing.text };
  }

  @Get(':id')
  @ApiOkResponse({ standardSchema: ThingView })
  @ApiProblems('request.invalid', 'resource.not_found')
  one(@CurrentUser() user: Principal, @Param('id', { schema: uuid }) id: string) {
    return { id, text: this.own(user, id).text };
  }

  @Delete(':id')
  @HttpCode(204)
  @RequireSession()
  @ApiNoContentResponse()
  @ApiProblems('request.invalid', 'resource.not_found')
  remove(@CurrentUser() user: Principal, @Param('id', { schema: uuid }) id: string) {
    this.own(user, id);
    this.things.delete(id);
  }

  private own({ userId }: Principal, id: string) {
    const thing = this.things.get(id);
    if (thing?.userId !== userId) throw new Problem('resource.not_found');
    return thing;
  }
}

@Module({ controllers: [ThingsController] })
export class ThingsModule {}

const own: Recipes[string] = async ({ owner }) => {
  const { body } = await owner.copy().post('/v1/things', { text: 'milk' });
  return { parameters: { id: body.id as string } };
};

/** Requests that succeed, as CONTRIBUTING.md describes them. */
export const THINGS_RECIPES: Recipes = {
  'POST /v1/things': () => ({ body: { text: 'milk' } }),
  'GET /v1/things/{id}': own,
  'DELETE /v1/things/{id}': own,
};
