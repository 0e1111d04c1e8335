import { join } from 'node:path';
import ts from 'typescript';

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
  // Each kind has its own fields; the type check decides on them.
  [field: string]: any;
}

/**
 * Checks manifests against the TypeScript types of Kubernetes' API: an unknown or misspelt field, a missing one, and a value
 * of another type are errors, as with `kubeconform -strict`. It needs no network and no cluster.
 * @returns the errors
 */
export function typeErrorsOf(manifests: readonly Manifest[]): string[] {
  const lines = manifests.flatMap(({ apiVersion, kind, ...rest }, index) => [
    `import type { ${kind} as Kind${index} } from 'kubernetes-types/${moduleOf(apiVersion)}';`,
    `export const manifest${index}: Kind${index} = ${JSON.stringify({ apiVersion, kind, ...rest })};`,
  ]);
  const file = join(process.cwd(), 'lab/manifests/manifests.generated.ts');
  const options: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    target: ts.ScriptTarget.ES2022,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  const text = lines.join('\n');
  host.getSourceFile = (name, version, ...others) =>
    name === file
      ? ts.createSourceFile(name, text, version)
      : getSourceFile.call(host, name, version, ...others);
  host.fileExists = (name) => name === file || fileExists.call(host, name);
  host.readFile = (name) => (name === file ? text : readFile.call(host, name));
  const program = ts.createProgram([file], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}

/** `v1` is `core/v1`; `networking.k8s.io/v1` is `networking/v1`. */
function moduleOf(apiVersion: string): string {
  const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['core', apiVersion];
  return `${group!.replace(/\.k8s\.io$/, '')}/${version}`;
}
