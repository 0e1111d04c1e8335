import { Module } from '@nestjs/common';
import { Connections } from './connections.js';
import { Shutdown } from './shutdown.js';

/** Connection limits and shutdown of the HTTP server. */
@Module({ providers: [Connections, Shutdown], exports: [Connections, Shutdown] })
export class HttpModule {}
