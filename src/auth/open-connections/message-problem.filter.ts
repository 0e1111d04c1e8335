import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { GuardedSocket } from './guarded-socket.js';

/** Answers a message whose handler has failed, in the words of the API's problems. */
@Catch()
export class MessageProblemFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    host.switchToWs().getClient<GuardedSocket>().refuse(error);
  }
}
