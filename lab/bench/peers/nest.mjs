/**
 * Nest with @nestjs/passport and @nestjs/jwt, as in Nest's own guide to authentication and in common starters: Express,
 * HS256, a secret string. Its argument: `user` for a TypeORM look-up of the user in `validate`, as in starters.
 */
import 'reflect-metadata';
import { Controller, Get, Inject, Module, Post, Req, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { JwtModule, JwtService } from '@nestjs/jwt';
import { AuthGuard, PassportModule, PassportStrategy } from '@nestjs/passport';
import { getRepositoryToken, TypeOrmModule } from '@nestjs/typeorm';
import { randomUUID } from 'node:crypto';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { EntitySchema } from 'typeorm';
import { announce, answer } from './listen.mjs';

const looksUp = process.argv[2] === 'user';
const secret = 'a secret string of the usual length';

const User = new EntitySchema({
  name: 'NestUser',
  tableName: 'nest_users',
  columns: { id: { type: 'uuid', primary: true }, email: { type: 'text' }, passwordHash: { type: 'text' } },
});
const USERS = looksUp ? getRepositoryToken(User) : 'no users';

class JwtStrategy extends PassportStrategy(Strategy) {
  constructor(users) {
    super({
      jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(),
      ignoreExpiration: false,
      secretOrKey: secret,
    });
    this.users = users;
  }

  async validate({ sub, sid }) {
    if (!looksUp) return { userId: sub, sessionId: sid };
    const user = await this.users.findOne({ where: { id: sub } });
    return user && { userId: user.id, sessionId: sid };
  }
}
Inject(USERS)(JwtStrategy, undefined, 0);

class AppController {
  constructor(jwt, users) {
    this.jwt = jwt;
    this.users = users;
  }

  open() {
    return answer('anonymous', 'none');
  }

  whoami({ user }) {
    return answer(user.userId, user.sessionId);
  }

  async login() {
    const id = randomUUID();
    if (looksUp) await this.users.insert({ id, email: 'someone@bench.example', passwordHash: 'x' });
    return { token: await this.jwt.signAsync({ sub: id, sid: randomUUID() }) };
  }
}
decorate('open', [Get('open')]);
decorate('whoami', [UseGuards(AuthGuard('jwt')), Get('whoami')]);
decorate('login', [Post('login')]);
Req()(AppController.prototype, 'whoami', 0);
Inject(JwtService)(AppController, undefined, 0);
Inject(USERS)(AppController, undefined, 1);
Controller()(AppController);

class AppModule {}
Module({
  imports: [
    PassportModule,
    JwtModule.register({ secret, signOptions: { expiresIn: '15m' } }),
    ...(looksUp
      ? [
          TypeOrmModule.forRoot({
            type: 'postgres',
            url: process.env.DATABASE_URL,
            entities: [User],
            synchronize: true,
          }),
          TypeOrmModule.forFeature([User]),
        ]
      : []),
  ],
  controllers: [AppController],
  providers: [JwtStrategy, ...(looksUp ? [] : [{ provide: USERS, useValue: null }])],
})(AppModule);

function decorate(name, decorators) {
  const descriptor = Object.getOwnPropertyDescriptor(AppController.prototype, name);
  for (const decorator of decorators) decorator(AppController.prototype, name, descriptor);
}

const app = await NestFactory.create(AppModule, { logger: ['error'] });
await app.listen(0, '127.0.0.1');
announce(app.getHttpServer().address().port);
