import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseKey } from '../domain/key.ts';
import { type CliError, localError, usage } from './problem.ts';
import type { Settings } from './settings.ts';

export const people = ['operator', 'admin'] as const;
export type Person = (typeof people)[number];

export type KeyOptions = { keyFile: string | null; as: Person | null };

/** The key to send: an option, else the environment, else what the first start of this checkout left. */
export function findKey(options: KeyOptions, settings: Settings): string {
  if (options.keyFile !== null && options.as !== null)
    throw usage('--as and --key-file both name a key; give one of them.');
  if (options.keyFile !== null) return readKeyFile(options.keyFile);
  if (options.as !== null) return readKeyFile(fileOf(settings, options.as));
  if (settings.key !== null) return checked(settings.key, 'DREAMNET_KEY');
  if (settings.keyFile !== null) return readKeyFile(settings.keyFile);
  for (const person of people) {
    const text = read(fileOf(settings, person));
    if (typeof text === 'string') return checked(text, fileOf(settings, person));
  }
  throw localError(
    'unauthenticated',
    `There is no key: none was given, and ${settings.keysDir} has no operator.key or admin.key.`,
    'Start the stack here once (`npm start`), or give --key-file FILE, DREAMNET_KEY_FILE or DREAMNET_DATA_DIR.',
  );
}

function fileOf(settings: Settings, person: Person): string {
  return join(settings.keysDir, `${person}.key`);
}

function readKeyFile(file: string): string {
  const text = read(file);
  if (typeof text === 'string') return checked(text, file);
  throw localError(
    'unauthenticated',
    `The key file ${file} cannot be read (${text.reason}).`,
    'Name a file that holds a key: --key-file FILE or DREAMNET_KEY_FILE.',
  );
}

function read(file: string): string | { reason: string } {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return { reason: code };
  }
}

// Sending whatever a file holds would hand a foreign secret to the server, so its shape is checked before.
function checked(text: string, where: string): string {
  const key = text.trim();
  if (parseKey(key) === null) throw notAKey(where);
  return key;
}

function notAKey(where: string): CliError {
  return localError(
    'unauthenticated',
    `${where} holds no DreamNet key (dn_..., with a checksum at its end).`,
    'Check that it was copied whole; an admin issues a new one with `dreamnet key issue PRINCIPAL`.',
  );
}
