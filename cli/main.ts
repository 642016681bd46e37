import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSettings } from './settings.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

// Halves the start of every command after the first; a place that cannot be written is no error.
enableCompileCache(join(root, 'node_modules', '.cache', 'dreamnet', 'compile'));
const { run } = await import('./run.ts');

process.exitCode = await run(process.argv.slice(2), readSettings(process.env, root));
