import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import type { Stage } from '../stage.ts';

const program = resolve(import.meta.dirname, '../../cli/dreamnet.mjs');

export type Ended = { code: number; stdout: string; stderr: string };

/** `dreamnet audit ...` as a person runs it, with the keys of this stage. */
export function runAudit(stage: Stage, args: string[]): Promise<Ended> {
  const { stack, dataDir, signal } = stage;
  const env = { DREAMNET_URL: stack.urls.api, DREAMNET_DATA_DIR: dataDir };
  return new Promise((done, reject) => {
    const options = { env, signal, maxBuffer: 64 * 1024 * 1024 };
    execFile(process.execPath, [program, 'audit', ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === 'number') done({ code, stdout, stderr });
      else reject(error instanceof Error ? error : new Error(stderr));
    });
  });
}
