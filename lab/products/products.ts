import { mkdirSync, rmSync } from 'node:fs';
import { Tree } from './trees.js';

/** A product of this template, as its owner makes and edits it. */

/** The files of the template that `edit` changes. */
export const EDITED = [
  'README.md',
  'package.json',
  'src/features.ts',
  'src/roles.ts',
  'src/claims.ts',
  'src/app.module.ts',
  'src/product.ts',
  'docker-compose.yml',
  'SECURITY.md',
  'src/auth/login/logout.service.ts',
];

/** A clone of the template, with a name of its own, in its second commit. */
export function productOf(template: Tree, ...options: string[]): Tree {
  const product = Tree.cloneOf(template);
  const { status, output } = product.run('init', '--name', 'acme', '--keep-generated', ...options);
  if (status !== 0) throw new Error(output);
  product.commit('acme');
  return product;
}

/** Ten files are edited, one is deleted, and one is added. */
export function edit(product: Tree): void {
  product.edit('README.md', '# Acme', '# Acme, our shop');
  product.edit('package.json', '"version": "0.1.0"', '"version": "3.1.4"');
  product.write('src/features.ts', `${product.read('src/features.ts')}export {};\n`);
  for (const file of ['src/roles.ts', 'src/claims.ts', 'src/app.module.ts', 'src/product.ts'])
    product.write(file, `// Ours.\n${product.read(file)}`);
  product.edit('docker-compose.yml', 'postgres:17-bookworm', 'postgres:18-bookworm');
  product.edit('SECURITY.md', 'three working days', 'one working day');
  product.edit(
    'src/auth/login/logout.service.ts',
    '    for (const session of',
    '    // Ours.\n    for (const session of',
  );
  rmSync(product.path('docs/tutorial/force-logout.md'));
  mkdirSync(product.path('src/shop'));
  product.write('src/shop/shop.ts', '// Not of the template.\n');
  product.commit('our edits');
}
