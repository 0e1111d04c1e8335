import { Module } from '@nestjs/common';
import { Connections } from './connections.js';
import { Shutdown } from './shutdown.js';

/** What the HTTP server does besides answering requests. */
@Module({ providers: [Connections, Shutdown], exports: [Connections, Shutdown] })
export class HttpModule {}
