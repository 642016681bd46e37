import { stripVTControlCharacters } from 'node:util';
import { type ArgsDef, type CommandDef, renderUsage, runCommand } from 'citty';
import { checkArguments, common, type Surroundings } from './command.ts';
import { safeJson, visible } from './escape.ts';
import { describeExits, type Exit, exits } from './exits.ts';
import { CliError, localError, usage } from './problem.ts';
import type { Settings } from './settings.ts';
import { stopSignal } from './stop.ts';
import { root } from './tree.ts';

const interrupted = 130;

type Found = { command: CommandDef; parent: CommandDef | undefined; rest: string[]; isHelp: boolean };

/** Runs one command line and returns its exit code. */
export async function run(argv: string[], settings: Settings): Promise<number> {
  endQuietlyWhenNobodyReads();
  const stop = stopSignal();
  try {
    const found = await find(argv);
    if (found.isHelp) {
      process.stdout.write(await help(found, settings.color && process.stdout.isTTY));
      return exits.ok.code;
    }
    return exits[await execute(found, { settings, stop })].code;
  } catch (error) {
    if (stop.aborted) return interrupted;
    const known = error instanceof CliError ? error : unexpected(error);
    report(known, isJson(argv));
    return exits[known.exit].code;
  }
}

/** Follows the words down to a command; options may stand before or between them. */
async function find(argv: string[]): Promise<Found> {
  const isHelp = argv.includes('--help') || argv.includes('-h') || argv.length === 0;
  const rest = argv.filter((arg) => !isHelp || (arg !== '--help' && arg !== '-h'));
  const before: string[] = [];
  let command: CommandDef = root;
  let parent: CommandDef | undefined;
  while (command.subCommands !== undefined) {
    while (rest[0]?.startsWith('-')) before.push(...takeOption(rest));
    const known = (await resolved(command.subCommands)) ?? {};
    const word = rest.shift();
    if (word === undefined && isHelp) break;
    const next = word !== undefined && Object.hasOwn(known, word) ? await resolved(known[word]) : undefined;
    if (next === undefined) throw usage(noSuchCommand(word, Object.keys(known)), 'See `dreamnet --help`.');
    parent = command;
    command = next as CommandDef;
  }
  return { command, parent, rest: [...before, ...rest], isHelp };
}

function takeOption(rest: string[]): string[] {
  const [first = ''] = rest;
  const [name = ''] = first.slice(2).split('=', 1);
  const option =
    first.startsWith('--') && Object.hasOwn(common, name) ? common[name as keyof typeof common] : undefined;
  if (option === undefined) throw usage(`Unknown option '${first}' before the command.`);
  return rest.splice(0, option.type === 'boolean' || first.includes('=') ? 1 : 2);
}

function noSuchCommand(word: string | undefined, known: string[]): string {
  const said = word === undefined ? 'A command is missing' : `There is no command "${word}"`;
  return `${said}. Allowed: ${known.join(', ')}.`;
}

async function execute({ command, rest }: Found, data: Surroundings): Promise<Exit> {
  checkArguments(rest, (await resolved(command.args)) ?? {});
  try {
    const { result } = await runCommand(command, { rawArgs: rest, data });
    return (result as Exit | undefined) ?? 'ok';
  } catch (error) {
    if (error instanceof Error && error.name === 'CLIError')
      throw usage(stripVTControlCharacters(error.message));
    throw error;
  }
}

async function help({ command, parent }: Found, isColored: boolean): Promise<string> {
  const above =
    parent === root || parent === undefined
      ? root
      : { ...parent, meta: { name: `dreamnet ${await nameOf(parent)}` } };
  const text = await renderUsage(
    command as CommandDef<ArgsDef>,
    command === root ? undefined : (above as CommandDef<ArgsDef>),
  );
  const whole = `${text}\n\nEXIT CODES\n\n${describeExits()}\n`;
  return isColored ? whole : stripVTControlCharacters(whole);
}

async function nameOf(command: CommandDef): Promise<string> {
  return (await resolved(command.meta))?.name ?? '';
}

type Resolvable<T> = T | Promise<T> | (() => T | Promise<T>) | undefined;

async function resolved<T>(value: Resolvable<T>): Promise<T | undefined> {
  return typeof value === 'function' ? (value as () => T | Promise<T>)() : value;
}

function isJson(argv: string[]): boolean {
  return argv.includes('--json') || argv.includes('--json=true');
}

function report(error: CliError, json: boolean): void {
  const { problem, raw, next } = error;
  if (json) {
    process.stderr.write(
      `${safeJson(raw === null || /[\t\n\r]/.test(raw) ? JSON.stringify(problem) : raw)}\n`,
    );
    return;
  }
  const id = problem.requestId === null ? '' : `, request ${problem.requestId}`;
  process.stderr.write(
    `${visible(problem.detail)}\n  ${visible(`${problem.title} (${problem.code}${id})`)}\n`,
  );
  if (next !== null) process.stderr.write(`  ${visible(next)}\n`);
}

function unexpected(error: unknown): CliError {
  const detail =
    error instanceof Error ? `${error.name}: ${error.message}` : 'Something that is no error was thrown.';
  return localError(
    'unexpected',
    detail,
    'This is a fault of the program or an answer that it does not know.',
  );
}

/** `dreamnet event list | head -1` closes the pipe early, which is no fault. */
function endQuietlyWhenNobodyReads(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
}
