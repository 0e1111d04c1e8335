import { Entity, PrimaryColumn } from 'typeorm';

/**
 * The fields of users that belong to the application. Add a nullable column here for each field; see
 * `docs/guides/profiles.md`.
 */
@Entity('profiles')
export class UserProfile {
  @PrimaryColumn({ type: 'uuid', name: 'user_id' })
  userId: string;
}
