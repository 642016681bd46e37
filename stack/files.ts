import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { StackError } from './error.ts';

/** Makes the file once with what `make` gives, readable only by its owner, and returns what it holds. */
export function readOrCreatePrivate(path: string, make: () => string): string {
  if (!existsSync(path)) {
    const draft = `${path}.${randomBytes(6).toString('hex')}`;
    writeFileSync(draft, make(), { mode: 0o600, flag: 'wx' });
    try {
      // A link, unlike a rename, never replaces what another process made a moment before.
      linkSync(draft, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(draft, { force: true });
    }
  }
  const text = readFileSync(path, 'utf8').trim();
  if (text === '') {
    throw new StackError(
      `${path} is empty. Put its content back from a backup, or delete the file to have a new one made.`,
    );
  }
  return text;
}

export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
}

/** A folder that other users may pass through (the database server is one), but not list. */
export function makePassableFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o711);
}
