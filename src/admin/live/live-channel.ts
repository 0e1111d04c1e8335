import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { InstanceMessages } from '../../platform/persistence/instance-messages.js';
import { LiveMessage } from './live.schemas.js';

const TOPIC = 'live-view';

/** The messages between the instances for the live view. A message of another version that is not understood is ignored. */
@Injectable()
export class LiveChannel {
  constructor(
    private readonly messages: InstanceMessages,
    private readonly database: DataSource,
  ) {}

  /** A message that cannot be sent is lost. The next one replaces it. */
  async send(message: LiveMessage): Promise<void> {
    await this.messages.publish(this.database.manager, TOPIC, message).catch(() => undefined);
  }

  /** Calls the listener for the messages of all instances, this one included. Call it in a constructor. */
  subscribe(listener: (message: LiveMessage) => void): void {
    this.messages.subscribe(TOPIC, (received) => {
      const { data } = LiveMessage.safeParse(received);
      if (data) listener(data);
    });
  }
}
