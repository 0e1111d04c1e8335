/**
 * express-session with connect-redis, as in their READMEs. Its argument: `passport` for Passport on top, with the
 * user read from PostgreSQL on each request, as in passport's guide; `dressed`: see dressed.mjs.
 */
import { RedisStore } from 'connect-redis';
import express from 'express';
import session from 'express-session';
import { randomUUID } from 'node:crypto';
import passport from 'passport';
import pg from 'pg';
import { dressExpress } from './dressed.mjs';
import { announce, answer, redis } from './listen.mjs';

const withPassport = process.argv[2] === 'passport';
const app = express();
if (process.argv.includes('dressed')) dressExpress(app);
app.get('/open', (_request, response) => response.json(answer('anonymous', 'none')));
app.use(
  session({
    store: new RedisStore({ client: await redis(), prefix: withPassport ? 'passport:' : 'express:' }),
    resave: false,
    saveUninitialized: false,
    secret: 'keyboard cat keyboard cat keyboard cat',
  }),
);
if (withPassport) await usePassport();
else {
  app.get('/whoami', ({ session, sessionID }, response) => {
    if (!session.user) return response.status(401).end();
    response.json(answer(session.user.id, sessionID));
  });
  app.post('/login', (request, response) => {
    request.session.user = { id: randomUUID() };
    response.json({});
  });
}
const server = app.listen(0, '127.0.0.1', () => announce(server.address().port));

async function usePassport() {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
  await pool.query('create table if not exists passport_users (id uuid primary key, email text not null)');
  app.use(passport.authenticate('session'));
  passport.serializeUser((user, done) => done(null, user.id));
  passport.deserializeUser((id, done) => {
    pool.query('select * from passport_users where id = $1', [id], (error, result) => {
      done(error, result?.rows[0] ?? false);
    });
  });
  app.get('/whoami', (request, response) => {
    if (!request.isAuthenticated()) return response.status(401).end();
    response.json(answer(request.user.id, request.sessionID));
  });
  app.post('/login', async (request, response, next) => {
    const user = { id: randomUUID(), email: 'someone@bench.example' };
    await pool.query('insert into passport_users values ($1, $2)', [user.id, user.email]);
    request.login(user, (error) => (error ? next(error) : response.json({})));
  });
}
