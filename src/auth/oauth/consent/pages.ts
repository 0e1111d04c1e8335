import { PRODUCT } from '../../../product.js';

/** The page may run its own script, and nothing else. */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const head = (title: string) => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>${title}</title>
    <link rel="stylesheet" href="/oauth/interaction/consent.css" />`;

/** The page of login and consent. Its script fills it, with text only. */
export const CONSENT_PAGE = `${head(`Allow access · ${PRODUCT.name}`)}
    <script src="/oauth/interaction/consent.js" defer></script>
  </head>
  <body>
    <main>
      <h1>${PRODUCT.name}</h1>
      <p id="message" role="status">One moment …</p>
      <form id="login" hidden>
        <label>E-mail <input name="email" type="email" autocomplete="username" required /></label>
        <label>Password <input name="password" type="password" autocomplete="current-password" required /></label>
        <button>Log in</button>
      </form>
      <form id="code" hidden>
        <label>Code of your authenticator app <input name="code" inputmode="numeric" autocomplete="one-time-code" required /></label>
        <button>Continue</button>
      </form>
      <form id="confirm" hidden>
        <label>Password <input name="password" type="password" autocomplete="current-password" required /></label>
        <button>Continue</button>
      </form>
      <section id="consent" hidden>
        <p>The app <strong id="app"></strong> wants to act for your account <span id="account"></span>.</p>
        <div id="access"></div>
        <p id="lasting"></p>
        <p>Then you return to <strong id="target"></strong>. Allow this only if you have come from there.</p>
        <button id="allow">Allow</button>
        <button id="deny" class="quiet">Refuse</button>
      </section>
      <noscript>This page needs JavaScript.</noscript>
    </main>
  </body>
</html>
`;

export const CONSENT_STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; padding: 1rem; display: grid; place-items: center; min-height: 90vh; }
main { width: 100%; max-width: 26rem; }
h1 { font-size: 1.25rem; }
h2 { font-size: 1rem; margin: 1rem 0 0; }
ul { margin: 0.25rem 0; padding-left: 1.25rem; }
label { display: block; margin: 0.75rem 0; }
input { display: block; box-sizing: border-box; width: 100%; padding: 0.6rem; font: inherit; margin-top: 0.25rem; }
button { font: inherit; padding: 0.6rem 1.25rem; margin: 0.5rem 0.5rem 0 0; cursor: pointer; }
button.quiet { background: none; border: 1px solid currentcolor; border-radius: 3px; }
strong, span { overflow-wrap: anywhere; }
[hidden] { display: none; }
`;

export const CONSENT_SCRIPT = `'use strict';
const byId = (id) => document.getElementById(id);
const steps = ['login', 'code', 'confirm', 'consent'];
const base = location.pathname;
let challengeToken = null;

function show(step, message) {
  for (const each of steps) byId(each).hidden = each !== step;
  byId('message').textContent = message;
}

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : {} };
}

/** Sends a request, and once more after a refresh if the access token was over. */
async function callFresh(method, path, body) {
  const answer = await call(method, path, body);
  if (answer.status !== 401 || answer.body.code === 'auth.reauthentication_required') return answer;
  const refreshed = await call('POST', '/v1/auth/refresh', {});
  return refreshed.status === 200 ? call(method, path, body) : answer;
}

function explain({ status, body }) {
  if (status === 404) return show(null, 'This request is over. Go back to the app and begin again.');
  if (status === 429) return show(null, 'Too many attempts. Wait a minute, and load this page again.');
  show(null, body.detail || 'This did not work. Load this page again.');
}

async function load() {
  const answer = await callFresh('GET', base + '/request');
  if (answer.status === 401) return show('login', 'Log in to continue.');
  if (answer.status !== 200) return explain(answer);
  const { account, app, access, outlivesSession } = answer.body;
  byId('account').textContent = account;
  byId('app').textContent = app.name;
  byId('target').textContent = app.redirectsTo;
  byId('access').replaceChildren(
    ...access.flatMap(({ service, scopes }) => {
      const title = document.createElement('h2');
      title.textContent = service;
      const list = document.createElement('ul');
      list.append(
        ...scopes.map(({ description }) => {
          const item = document.createElement('li');
          item.textContent = description;
          return item;
        }),
      );
      return [title, list];
    }),
  );
  byId('lasting').textContent = outlivesSession
    ? 'The access lasts until you end it, also after you log out.'
    : 'The access ends when you log out.';
  show('consent', '');
}

async function decide(decision) {
  const answer = await callFresh('POST', base + '/' + decision, {});
  if (answer.status === 200) return location.assign(answer.body.redirectTo);
  if (answer.body.code === 'auth.reauthentication_required') return show('confirm', 'Enter your password to confirm.');
  if (answer.status === 401) return show('login', 'Log in to continue.');
  explain(answer);
}

function onSubmit(id, handle) {
  byId(id).addEventListener('submit', async (event) => {
    event.preventDefault();
    const form = event.target;
    const fields = Object.fromEntries(new FormData(form));
    form.querySelector('button').disabled = true;
    await handle(fields).catch(() => show(null, 'The server did not answer. Load this page again.'));
    form.querySelector('button').disabled = false;
  });
}

async function afterLogin(answer, retry) {
  if (answer.status === 200 && answer.body.status === 'mfa_required') {
    challengeToken = answer.body.challengeToken;
    return show('code', 'Enter the code of your second factor.');
  }
  if (answer.status === 200) return load();
  if (answer.status === 401) return show(retry, 'That was not right. Try again.');
  explain(answer);
}

onSubmit('login', async ({ email, password }) =>
  afterLogin(await call('POST', '/v1/auth/login', { email, password }), 'login'));
onSubmit('code', async ({ code }) =>
  afterLogin(await call('POST', '/v1/auth/login/mfa', { challengeToken, code }), 'code'));
onSubmit('confirm', async ({ password }) => {
  const answer = await callFresh('POST', '/v1/auth/reauthenticate', { password });
  if (answer.status === 200) return decide('allow');
  if (answer.status === 401) return show('confirm', 'That was not right. Try again.');
  explain(answer);
});
byId('allow').addEventListener('click', () => decide('allow'));
byId('deny').addEventListener('click', () => decide('deny'));
load().catch(() => show(null, 'The server did not answer. Load this page again.'));
`;

/** The page for an authorization that cannot go on. */
export function errorPage(error: string, detail = ''): string {
  return `${head('Access not possible')}
  </head>
  <body>
    <main>
      <h1>This app cannot be allowed</h1>
      <p>${escape(detail || 'The request of the app is not valid.')}</p>
      <p><code>${escape(error)}</code></p>
    </main>
  </body>
</html>
`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
