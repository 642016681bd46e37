import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from '../scripts/lock.mjs';
import { StackError, errorText } from './error.ts';
import { makePassableFolder } from './files.ts';

export type ClaimedFolder = { release: () => void; tookOver: boolean };

/** Makes the data folder and claims it: one running stack per folder. */
export function claimDataFolder(dataDir: string): ClaimedFolder {
  let lock: ReturnType<typeof tryLock>;
  try {
    makePassableFolder(dataDir);
    if (!statSync(dataDir).isDirectory()) throw new Error('it is not a folder');
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
    lock = tryLock(join(dataDir, 'running.lock'));
  } catch (error) {
    throw new StackError(
      `the data folder ${dataDir} cannot be used (${errorText(error)}). ` +
        'Make it a folder that this user may write to, or set DREAMNET_DATA_DIR to another one.',
    );
  }
  if (!lock.held) {
    throw new StackError(
      `DreamNet is already running on the data folder ${dataDir} (process ${lock.holder}). ` +
        'Stop that one first, or start a second one with another DREAMNET_DATA_DIR, PORT and DREAMNET_TEMPORAL_PORT.',
    );
  }
  return lock;
}
