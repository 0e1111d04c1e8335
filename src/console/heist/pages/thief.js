'use strict';
/*
 * A page of another site. It makes the browser of its visitor send requests to the forum. The page cannot read the
 * answers, so the server reports them: it records every request with `?heist=`.
 */
const run = new URLSearchParams(location.search).get('run');
const runUrl = `/dev/heist/runs/${run}`;
const attempts = [];

const pause = (ms) => new Promise((wake) => setTimeout(wake, ms));
const report = async () => (await fetch(runUrl)).json();

/** A form needs no permission of the other site. It opens its answer in the frame with the name `window`. */
function sendForm(target, path, { as, window, fields, enctype = 'application/x-www-form-urlencoded' }) {
  const action = `${target}${path}?heist=${run}&as=${as}`;
  const form = document.createElement('form');
  Object.assign(form, { action, enctype, method: 'post', target: window, hidden: true });
  for (const [name, value] of Object.entries(fields))
    form.append(Object.assign(document.createElement('input'), { name, value }));
  document.body.append(form);
  form.submit();
}

/** The visitor does not see the answer. */
function sendHiddenForm(target, path, { as, ...options }) {
  attempts.push(as);
  document.body.append(Object.assign(document.createElement('iframe'), { name: as, hidden: true }));
  sendForm(target, path, { as, window: as, ...options });
}

/** With `include` the browser adds the cookies that it would send to the forum from here. */
async function send(target, path, { as, ...options }) {
  attempts.push(as);
  const url = `${target}${path}?heist=${run}&as=${as}`;
  await fetch(url, { credentials: 'include', ...options }).catch(() => undefined);
}

async function attack(target) {
  const account = { email: 'thief@example.com', password: 'the password of the thief' };
  // Logs the visitor into the account of the thief, who later reads what the visitor has entered there.
  sendHiddenForm(target, '/v1/auth/login', { as: 'form-login', fields: account });
  sendHiddenForm(target, '/v1/auth/logout', { as: 'form-logout', fields: {} });
  // One field whose name and value together are JSON.
  const json = { [`{"newPassword":"${account.password}","currentPassword":"`]: '"}' };
  sendHiddenForm(target, '/v1/auth/password/change', {
    as: 'form-disguised-as-json',
    fields: json,
    enctype: 'text/plain',
  });
  await send(target, '/v1/users/me', { as: 'fetch-read', mode: 'no-cors' });
  await send(target, '/v1/auth/logout', { as: 'fetch-logout', method: 'POST', mode: 'no-cors' });
  // The browser first asks the forum whether this site may send JSON.
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify(account);
  await send(target, '/v1/auth/login', { as: 'fetch-login', method: 'POST', headers, body });
}

/** The attack only means something against a visitor who is logged in. */
async function untilLoggedIn() {
  for (let tries = 0; tries < 100; tries++) {
    const found = await report();
    if (found.requests.some(({ as, status }) => as === 'owner' && status === 200)) return found;
    await pause(200);
  }
  throw new Error('The visitor is not logged in. Open the forum first.');
}

async function untilAnswered() {
  for (let tries = 0; tries < 100; tries++) {
    const { requests } = await report();
    if (attempts.every((attempt) => requests.some(({ as }) => as === attempt))) return;
    await pause(200);
  }
}

async function tell() {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ attempts });
  await fetch(`${runUrl}/attempts`, { method: 'POST', headers, body });
}

(async () => {
  const { victimOrigin } = await untilLoggedIn();
  await attack(victimOrigin);
  await untilAnswered();
  attempts.push('form-navigation');
  await tell();
  // The answer replaces this page. In a tab of its own, the browser counts that as a visit to the forum.
  sendForm(victimOrigin, '/v1/auth/logout', { as: 'form-navigation', window: '_self', fields: {} });
})().catch(({ message }) => (document.getElementById('message').textContent = message));
