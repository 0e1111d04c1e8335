import { Module } from '@nestjs/common';
import { Connections } from './connections.js';

/** What the HTTP server does besides answering requests. */
@Module({ providers: [Connections], exports: [Connections] })
export class ServerModule {}
