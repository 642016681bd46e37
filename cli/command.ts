import { parseArgs } from 'node:util';
import { type ArgsDef, type CommandDef, defineCommand, type ParsedArgs } from 'citty';
import type { Exit } from './exits.ts';
import { people } from './key.ts';
import { usage } from './problem.ts';
import { openSession, type Session } from './session.ts';
import type { Settings } from './settings.ts';

/** Options that every command takes, at any place of the line. */
export const common = {
  url: { type: 'string', valueHint: 'URL', description: 'Address of the API (DREAMNET_URL)' },
  'key-file': { type: 'string', valueHint: 'FILE', description: 'File with the key (DREAMNET_KEY_FILE)' },
  as: {
    type: 'enum',
    options: [...people],
    description: 'The key that the first start left for this person',
  },
  json: { type: 'boolean', description: "Print the API's JSON and nothing else" },
} as const satisfies ArgsDef;

/** What `run` hands to every command beside its arguments. */
export type Surroundings = { settings: Settings; stop: AbortSignal };

type Definition<T extends ArgsDef> = {
  name: string;
  about: string;
  args: T;
  /** True for arguments with which no API is asked: then no key is needed. */
  isOffline?: (args: ParsedArgs<T>) => boolean;
  run: (session: Session, args: ParsedArgs<T>) => Promise<Exit | undefined>;
};

/** A command: its arguments are checked before anything is sent. */
export function command<const T extends ArgsDef>(def: Definition<T>): CommandDef {
  return defineCommand<ArgsDef>({
    meta: { name: def.name, description: def.about },
    args: { ...def.args, ...common },
    run: async (context) => {
      const { settings, stop } = context.data as Surroundings;
      const given = context.args as unknown as ParsedArgs<typeof common>;
      const options = { url: given.url ?? null, keyFile: given['key-file'] ?? null, as: given.as ?? null };
      // citty read them by `def.args`, of which this is the type.
      const args = context.args as unknown as ParsedArgs<T>;
      const isOffline = def.isOffline?.(args) === true;
      const session = openSession({ ...options, json: given.json === true, isOffline }, settings, stop);
      return def.run(session, args);
    },
  });
}

/** Commands under one noun. */
export function group(
  name: string,
  about: string,
  subCommands: () => Promise<Record<string, CommandDef>>,
): CommandDef {
  return defineCommand<ArgsDef>({ meta: { name, description: about }, subCommands });
}

/** citty lets unknown options and extra words pass; here they are errors, as a typing mistake must not decide. */
export function checkArguments(rawArgs: string[], args: ArgsDef): void {
  const named = Object.entries(args).filter(([, arg]) => arg.type !== 'positional');
  const options = Object.fromEntries(
    named.map(([name, arg]) => [
      name,
      { type: arg.type === 'boolean' ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  const words = readWords(rawArgs, options);
  const allowed = Object.keys(args).length - named.length;
  const extra = words[allowed];
  if (extra !== undefined) throw usage(`"${extra}" is one word too many; quote text that has spaces.`);
}

function readWords(args: string[], options: Record<string, { type: 'boolean' | 'string' }>): string[] {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true }).positionals;
  } catch (error) {
    throw usage(
      error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : 'The arguments cannot be read.',
    );
  }
}
