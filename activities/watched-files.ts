import { constants } from 'node:fs';
import { type FileHandle, open, stat, statfs } from 'node:fs/promises';
import { parseEnvFile } from '../domain/analyzers/env-file.ts';
import type { EnvFileSnapshot } from '../domain/analyzers/environment.ts';
import type { AgeSight, DiskSight } from '../domain/analyzers/swarm-patrol.ts';

const maxEnvBytes = 256 * 1024;

/** One file of environment variables; one that cannot be read says why and nothing of what it holds. */
export async function readEnvFile(path: string): Promise<EnvFileSnapshot> {
  let handle: FileHandle | null = null;
  try {
    // Opening a pipe without this waits until somebody writes to it.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = await handle.stat();
    if (!found.isFile()) return { path, unread: 'it is no regular file' };
    const buffer = Buffer.alloc(maxEnvBytes + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    if (bytesRead > maxEnvBytes) return { path, unread: `it is larger than ${maxEnvBytes / 1024} KiB` };
    const text = decode(buffer.subarray(0, bytesRead));
    return text === null ? { path, unread: 'it is no text' } : { path, file: parseEnvFile(text) };
  } catch (error) {
    return { path, unread: explainFileError(error) };
  } finally {
    await handle?.close();
  }
}

function decode(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** How long ago a file was changed. */
export async function readAge(path: string, nowMs: number): Promise<AgeSight> {
  try {
    const { mtimeMs } = await stat(path);
    return { path, ageMs: Math.max(0, nowMs - mtimeMs), error: null };
  } catch (error) {
    return { path, ageMs: null, error: explainFileError(error) };
  }
}

/** How full the file system under a path is, as a process without special rights finds it. */
export async function readDisk(path: string): Promise<DiskSight> {
  try {
    const { blocks, bavail, files, ffree } = await statfs(path);
    const used = (total: number, free: number): number | null => (total === 0 ? null : 1 - free / total);
    return { path, space: used(blocks, bavail), files: used(files, ffree), error: null };
  } catch (error) {
    return { path, space: null, files: null, error: explainFileError(error) };
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'this process may not read it',
  EISDIR: 'it is a folder',
  ENXIO: 'it is no regular file',
  ELOOP: 'its links lead in a circle',
};

function explainFileError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  return reasons[code] ?? code;
}
