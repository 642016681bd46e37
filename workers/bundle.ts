import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { glob, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bundleWorkflowCode, type Logger } from '@temporalio/worker';

const root = new URL('..', import.meta.url).pathname;

async function contentHash(): Promise<string> {
  const hash = createHash('sha256');
  const files = await Array.fromAsync(
    glob(['workflows/**/*.ts', 'domain/**/*.ts', 'package-lock.json'], { cwd: root }),
  );
  for (const file of files.sort()) {
    hash.update(`${file}\n`);
    hash.update(await readFile(path.join(root, file)));
  }
  return hash.digest('hex').slice(0, 24);
}

/** The workflow bundle, built once per content: bundling again at each worker start costs seconds (DESIGN 3). */
export async function workflowBundle(logger: Logger): Promise<{ codePath: string }> {
  const folder = path.join(root, 'node_modules/.cache/dreamnet');
  const codePath = path.join(folder, `workflows-${await contentHash()}.js`);
  if (existsSync(codePath)) return { codePath };
  const { code } = await bundleWorkflowCode({ workflowsPath: path.join(root, 'workflows/index.ts'), logger });
  await mkdir(folder, { recursive: true });
  const partial = `${codePath}.${process.pid}`;
  await writeFile(partial, code);
  await rename(partial, codePath);
  return { codePath };
}
