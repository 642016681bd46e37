import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export type Toolchain = { temporalCli: string | null; testServer: string | null };

/** What set-up found, and where. */
export function readToolchain(root: string): Toolchain {
  try {
    const text = readFileSync(join(root, 'node_modules', '.cache', 'dreamnet', 'toolchain.json'), 'utf8');
    const found = JSON.parse(text) as Partial<Toolchain>;
    return { temporalCli: found.temporalCli ?? null, testServer: found.testServer ?? null };
  } catch {
    return { temporalCli: null, testServer: null };
  }
}
