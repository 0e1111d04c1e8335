import type { INestApplicationContext } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { PasswordsService } from './auth/passwords/passwords.service.js';
import { EXAMPLE_USER } from './platform/api/examples.js';
import { BootError } from './platform/settings/boot-error.js';
import { DemoRows, type DemoUser } from './platform/persistence/demo-rows.js';
import { Clock } from './platform/runtime/clock.js';
import type { Role } from './roles.js';
import { UserRepository } from './users/user.repository.js';
import { PRODUCT } from './product.js';

export const DEMO_PASSWORD = PRODUCT.demoPassword;

/** Fixed ids, so that commands in the README can name them. */
export const DEMO_USERS: { id: string; email: string; displayName: string; roles: Role[] }[] = [
  {
    id: 'ad000000-0000-4000-8000-000000000000',
    email: 'admin@example.com',
    displayName: 'Admin',
    roles: ['user', 'admin'],
  },
  { ...EXAMPLE_USER, roles: ['user'] },
  {
    id: 'b0b00000-0000-4000-8000-000000000000',
    email: 'bob@example.com',
    displayName: 'Bob',
    roles: ['user'],
  },
];

/** Creates the demo users whose addresses are free. Never in production: the settings refuse it. */
export async function seedUsers(app: INestApplicationContext): Promise<void> {
  const users = app.get(UserRepository);
  const createdAt = new Date(app.get(Clock).now());
  const passwordHash = await app.get(PasswordsService).hash(DEMO_PASSWORD);
  await app.get(DataSource).transaction(async (tx) => {
    for (const user of DEMO_USERS) {
      await users.create(tx, { ...user, passwordHash, emailVerifiedAt: createdAt, createdAt });
    }
  });
}

/**
 * Gives the demo users the rows that features have registered with {@link DemoRows}. The lock lets one instance after
 * the other do it.
 */
export async function seedRows(app: INestApplicationContext): Promise<void> {
  await app.get(DataSource).transaction(async (tx) => {
    const users = await tx.query<DemoUser[]>(
      'select id, email from users where id = any($1) and deleted_at is null order by id for update',
      [DEMO_USERS.map(({ id }) => id)],
    );
    for (const user of users) await app.get(DemoRows).run(tx, user);
  });
}

/**
 * For production, whose database may once have been a development database: the password of the demo users is public.
 * @throws BootError with the demo users that could still log in
 */
export async function refuseDemoUsers(app: INestApplicationContext): Promise<void> {
  const found = await app.get(DataSource).query<{ email: string; passwordHash: string }[]>(
    `select email, password_hash as "passwordHash" from users
     where (id = any($1) or email = any($2)) and deleted_at is null`,
    [DEMO_USERS.map(({ id }) => id), DEMO_USERS.map(({ email }) => email)],
  );
  const passwords = app.get(PasswordsService);
  const demo = await Promise.all(
    found.map(async ({ email, passwordHash }) =>
      (await passwords.verify(DEMO_PASSWORD, passwordHash)) ? [email] : [],
    ),
  );
  const emails = demo.flat().sort();
  if (emails.length === 0) return;
  const list = emails.map((email) => `'${email.replaceAll("'", "''")}'`).join(', ');
  throw new BootError(
    `The database of DATABASE_URL contains demo users, whose password is in the README: ${emails.join(', ')}.\n` +
      `Use another database, or disable their passwords: update users set password_hash = '!' where email in (${list})`,
  );
}
