/* global SwaggerUIBundle, document, location, matchMedia, MutationObserver, requestAnimationFrame */

/**
 * The page of the API: Swagger UI with a badge for the tier of each operation. After a login on the page, its requests
 * carry the credentials of that login, and an expired access token is refreshed.
 */

/** The routes that take the refresh token in the body, when a program calls them. */
const TAKES_REFRESH_TOKEN = new Set(['/v1/auth/refresh', '/v1/auth/logout']);

/** The tokens of the last login with the bearer transport. They stay in memory. Null: the browser has cookies. */
let tokens = null;

/** Shows the tier, the roles and the scope of each operation before its path. */
const badges = () => ({
  wrapComponents: {
    OperationSummaryPath:
      (Path, { React, specSelectors }) =>
      (props) => {
        const place = ['paths', props.operationProps.get('path'), props.operationProps.get('method')];
        const {
          'x-tier': tier,
          'x-roles': roles = [],
          'x-scope': scope,
        } = specSelectors.specJson().getIn(place).toJS();
        const texts = [tier, ...roles, ...(scope ? [`key: ${scope}`] : [])];
        const shown = texts.map((text) =>
          React.createElement('span', { className: 'badge', key: text }, text),
        );
        return React.createElement(
          'span',
          { className: `with-badges tier-${tier}` },
          React.createElement('span', { className: 'badges' }, ...shown),
          React.createElement(Path, props),
        );
      },
    // A link inside a button: keyboards and screen readers reach only one of them. The button opens the operation.
    DeepLink:
      (_Link, { React }) =>
      ({ text }) =>
        React.createElement('span', null, text),
  },
});

/** Names that Swagger UI leaves out, for screen readers and keyboards. */
const ATTRIBUTES = [
  ['.information-container', { role: 'region', 'aria-label': 'About this API' }],
  ['h3.opblock-tag', { role: 'heading', 'aria-level': '2' }],
  ['.opblock h4, .opblock h5, .opblock .opblock-title', { role: 'heading', 'aria-level': '3' }],
  // Swagger UI makes each table a landmark, all without a name.
  ['.responses-table', { role: 'table' }],
  ['textarea.body-param__text', { 'aria-label': 'Request body' }],
  ['.examples-select-element', { 'aria-label': 'Example' }],
  ['.response-control-media-type select', { 'aria-label': 'Media type of the answer' }],
  ['.body-param-content-type select, .content-type-wrapper select', { 'aria-label': 'Media type' }],
  ['.opblock :is(pre, .microlight, .table-container)', { tabindex: '0' }],
];

function nameControls() {
  for (const [selector, attributes] of ATTRIBUTES)
    for (const element of document.querySelectorAll(`#page :is(${selector})`))
      for (const [name, value] of Object.entries(attributes))
        if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Sends a request of the page, and once more after a refresh if the access token has expired. */
async function send(url, request) {
  const { pathname } = new URL(url, location.href);
  if (tokens && TAKES_REFRESH_TOKEN.has(pathname) && ['{}', '', undefined].includes(request.body?.trim()))
    setBody(request, { refreshToken: tokens.refreshToken });
  let answer = await fetch(url, withOneCredential(request));
  if ((await bodyOf(answer)).code === 'auth.token_expired' && (await refresh(request)))
    answer = await fetch(url, withOneCredential(request));
  await follow(pathname, answer);
  return answer;
}

/** A request with two credentials is refused, so cookies stay at home where a token or a key is sent. */
function withOneCredential(request) {
  const headers = new Headers(request.headers);
  const hasToken = headers.has('authorization') || headers.has('x-api-key') || bodyHasToken(request);
  return { ...request, credentials: hasToken ? 'omit' : 'same-origin' };
}

const bodyHasToken = ({ body }) => typeof body === 'string' && body.includes('"refreshToken"');

/** @returns whether the request can be sent again, with the new access token if it carries one */
async function refresh(request) {
  const headers = new Headers(request.headers);
  const expired = headers.get('authorization');
  // A token that was entered by hand has no refresh token.
  if (expired && !tokens) return false;
  const body = JSON.stringify(expired ? { refreshToken: tokens.refreshToken } : {});
  const answer = await fetch('/v1/auth/refresh', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    credentials: expired ? 'omit' : 'same-origin',
    body,
  });
  await follow('/v1/auth/refresh', answer);
  if (answer.ok && expired)
    request.headers = { ...request.headers, Authorization: `Bearer ${tokens.accessToken}` };
  return answer.ok;
}

/** Keeps what an answer changes of the login: new tokens, new cookies, or their end. */
async function follow(pathname, answer) {
  const { session, accessToken, refreshToken } = await bodyOf(answer);
  if (accessToken) {
    tokens = { accessToken, refreshToken };
    ui.preauthorizeApiKey('bearer', accessToken);
  } else if (session?.transport === 'cookie' || (pathname === '/v1/auth/logout' && answer.ok)) {
    if (tokens) ui.authActions.logout(['bearer']);
    tokens = null;
  }
}

/** The JSON of an answer; an empty object for another answer. */
async function bodyOf(answer) {
  if (!/^application\/(problem\+)?json/.test(answer.headers.get('content-type') ?? '')) return {};
  return (await answer.clone().json()) ?? {};
}

function setBody(request, body) {
  request.body = JSON.stringify(body);
  request.headers = { ...request.headers, 'Content-Type': 'application/json' };
}

/** Names the controls once for all changes of a frame. */
function followChanges() {
  let frame = 0;
  const follow = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      nameControls();
    });
  };
  new MutationObserver(follow).observe(document.getElementById('page'), { childList: true, subtree: true });
}

function followTheme() {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
  dark.addEventListener('change', apply);
  apply();
}

followTheme();
followChanges();
const ui = SwaggerUIBundle({
  dom_id: '#page',
  url: '/openapi.json',
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  syntaxHighlight: { theme: 'tomorrow-night' },
  tryItOutEnabled: true,
  validatorUrl: null,
  plugins: [badges],
  requestInterceptor: (request) => {
    if (!request.loadSpec) request.userFetch = send;
    return request;
  },
  onComplete: () => {
    document.title = `${ui.specSelectors.info().get('title')} API`;
  },
});
