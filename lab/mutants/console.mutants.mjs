/** The mechanisms of the console, as those of `list.mjs`. @type {import('./list.mjs').Mutant[]} */
export const MUTANTS = [
  {
    mechanism: 'the console runs no inline script',
    file: 'src/console/console.controller.ts',
    out: `"script-src 'self'",`,
    put: `"script-src 'self' 'unsafe-inline'",`,
    spec: 'lab/specs/console.spec.ts',
  },
  {
    mechanism: 'a configuration of the console cannot end its attribute',
    file: 'src/console/console-files.ts',
    out: 'escape(JSON.stringify(configuration))',
    put: 'JSON.stringify(configuration)',
    spec: 'lab/specs/console.spec.ts',
  },
  {
    mechanism: 'the console names demo users only where they exist',
    file: 'src/console/console-files.ts',
    out: 'seedUsers ? { emails: DEMO_EMAILS',
    put: 'true ? { emails: DEMO_EMAILS',
    spec: 'lab/specs/console.spec.ts',
  },
  {
    mechanism: 'the console is not served where it is off',
    file: 'src/console/console.module.ts',
    out: "if (consoleSettings(settings).console === 'off')",
    put: "if (consoleSettings(settings).console === ('none' as string))",
    spec: 'lab/specs/console.spec.ts',
  },
  {
    mechanism: 'the console compresses only for a client that accepts it',
    file: 'src/console/console.controller.ts',
    out: 'if (!/\\bbr\\b/.test(accepted)) return asset.plain;',
    spec: 'lab/specs/console.spec.ts',
  },
  {
    mechanism: 'the heist names no line if the code occurs twice',
    file: 'src/console/heist/deciding-code.ts',
    out: 'found.length === 1 ? found[0]',
    put: 'found.length > 0 ? found[0]',
    spec: 'src/console/heist/deciding-code.spec.ts',
  },
  {
    mechanism: 'a cross-site request that the server accepted decides act 3',
    file: 'src/console/heist/heist-run.ts',
    out: "method !== 'OPTIONS' && status < 400",
    put: "method !== 'OPTIONS' && status < 200",
    spec: 'src/console/heist/heist-run.spec.ts',
  },
  {
    mechanism: 'act 3 is refused only when every attempt has been seen',
    file: 'src/console/heist/heist-run.ts',
    out: 'attempts.every((attempt)',
    put: 'attempts.some((attempt)',
    spec: 'src/console/heist/heist-run.spec.ts',
  },
];
