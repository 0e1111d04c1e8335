'use strict';
/*
 * A web app with a hole: it writes comments of strangers as HTML. `run` names the run of the demonstration. The server
 * records every request with `?heist=`.
 */
const run = new URLSearchParams(location.search).get('run');
const byId = (id) => document.getElementById(id);
const say = (text) => (byId('message').textContent = text);

/** The tokens of the bearer transport. The device token stays in this variable. */
let session = null;
/** A request of the bearer transport must not carry cookies, such as those of the console. */
let credentials = 'same-origin';

async function call(method, path, { body, headers } = {}) {
  const isOfHeist = path.startsWith('/dev/heist/');
  const options = { method, credentials, headers: { ...headers } };
  if (body) {
    options.headers['content-type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(isOfHeist ? path : `${path}?heist=${run}&as=owner`, options);
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : {} };
}

const bearer = () => ({ headers: { authorization: `Bearer ${session.accessToken}` } });
const report = async () => (await call('GET', `/dev/heist/runs/${run}`)).body;

/** Asks for the report until it shows what the page waits for. */
async function reported(isThere) {
  for (let tries = 0; tries < 100; tries++) {
    const found = await report();
    if (isThere(found)) return found;
    await new Promise((wake) => setTimeout(wake, 200));
  }
  throw new Error('The thief did not come. Start the act again.');
}

function keepSession({ accessToken, refreshToken, deviceToken, session: { id } }) {
  session = { id, accessToken, refreshToken, deviceToken };
  localStorage.setItem('session', JSON.stringify({ accessToken, refreshToken }));
}

/** Of an earlier act. Otherwise each act would leave a session, and a user has only so many. */
async function endFormerSession() {
  const former = JSON.parse(localStorage.getItem('session'));
  if (former) await call('POST', '/v1/auth/logout', { body: { refreshToken: former.refreshToken } });
}

async function logInWithBearer({ email, password }) {
  credentials = 'omit';
  await endFormerSession();
  const answer = await call('POST', '/v1/auth/login', { body: { email, password, transport: 'bearer' } });
  if (!answer.body.accessToken) throw new Error(`The login was refused: ${answer.status}.`);
  keepSession(answer.body);
  return email;
}

/** A session that the visitor already has in this browser stays. */
async function logInWithCookies({ email, password }) {
  localStorage.removeItem('session');
  const found = await call('GET', '/v1/users/me');
  if (found.status === 200) return found.body.email;
  const answer = await call('POST', '/v1/auth/login', { body: { email, password } });
  if (!answer.body.session) throw new Error(`The login was refused: ${answer.status}.`);
  return email;
}

function show(owner, comment) {
  byId('owner').textContent = `Logged in as ${owner}. The newest comment:`;
  byId('comment').innerHTML = comment;
}

/** The owner's steps after the login, by act. */
const OWNER = {
  1: () => {
    byId('end').hidden = false;
    byId('end').addEventListener('click', async () => {
      const { status, body } = await call('DELETE', `/v1/sessions/${session.id}`, bearer());
      say(status === 200 ? `The session has ended: ${body.status}.` : `Not ended: ${status}.`);
    });
  },
  2: () => say('This page keeps no token.'),
  3: async () => {
    await reported(({ attempts }) => attempts !== null);
    const { status } = await call('GET', '/v1/users/me');
    say(status === 200 ? 'Still logged in, and nothing has changed.' : `Logged out: ${status}.`);
  },
  4: async () => {
    await reported(({ loot }) => loot !== null);
    const { refreshToken, deviceToken } = session;
    const renewed = await call('POST', '/v1/auth/refresh', {
      body: { refreshToken },
      headers: { 'x-device-token': deviceToken },
    });
    if (renewed.status !== 200) throw new Error(`The refresh was refused: ${renewed.status}.`);
    keepSession(renewed.body);
    await call('POST', `/dev/heist/runs/${run}/thief`);
    const { status, body } = await call('GET', '/v1/users/me', bearer());
    say(status === 401 ? `You were logged out: ${body.reason}.` : 'Still logged in.');
  },
};

document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => {
  const body = { directive: effectiveDirective, blocked: blockedURI };
  void call('POST', `/dev/heist/runs/${run}/violations`, { body });
});

(async () => {
  const { body: script } = await call('GET', `/dev/heist/runs/${run}/script`);
  if (!script.act) throw new Error('This run is over. Start the act again.');
  const logIn = script.transport === 'bearer' ? logInWithBearer : logInWithCookies;
  show(await logIn(script), script.comment);
  await OWNER[script.act]();
})().catch(({ message }) => say(message));
