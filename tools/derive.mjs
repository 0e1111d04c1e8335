/** Writes again what is generated from the source: documents of settings, the security checklist, types of the client. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { temporaryFolder } from './files.mjs';

/** The command that generates each of these files. They are never merged by hand. */
export const GENERATED = {
  '.env.example': 'npm run docs:settings',
  'docs/reference/settings.md': 'npm run docs:settings',
  'docs/evidence/checklist.md': 'npm run docs:security',
  'packages/client/src/api-types.ts': 'npm run client:types, beside npm start',
};

/** @param {string} folder of the product, with `node_modules` */
export async function derive(folder) {
  const npm = (...args) =>
    execFileSync('npm', ['run', '--silent', ...args], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  npm('docs:settings'); // builds as well
  npm('docs:security');
  await withApplication(folder, (url) => npm('client:types', '--', `${url}/openapi.json`));
}

/** Starts the built application, calls `use` with its address, and stops it. */
export async function withApplication(folder, use) {
  const env = { ...process.env, PORT: '0', DATA_DIR: temporaryFolder() };
  const app = spawn('node', ['dist/server/main.js'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await use(await addressOf(app));
  } finally {
    app.kill('SIGINT');
    if (app.exitCode === null) await once(app, 'close');
  }
}

async function addressOf(app) {
  let output = '';
  for await (const chunk of app.stdout.iterator({ destroyOnReturn: false })) {
    output += chunk;
    const [, url] = /^.+ listens on (http\S+)$/m.exec(output) ?? [];
    if (url) return url;
  }
  throw new Error(`the application did not start:\n${output}`);
}
