/** What a file of environment variables holds. The values are in a map: a map printed by mistake as JSON is empty. */
export type EnvFile = {
  values: ReadonlyMap<string, string>;
  /** What could not be read, by number of the line; never a part of the line. */
  problems: string[];
};

const namePattern = /^[A-Za-z_][A-Za-z0-9_]{0,99}$/;
const loudPattern = /^[A-Z][A-Z0-9_]{0,99}$/;
const quotes = ['"', "'", '`'];
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' };

/**
 * `NAME=value` by line as shells and dotenv take it: `export`, comments, quotes over several lines, the last of two wins.
 * A name behind a line that is no assignment counts only in capitals: it may be the end of an unquoted key (LEDGER 1.2).
 */
export function parseEnvFile(text: string): EnvFile {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/);
  const values = new Map<string, string>();
  const problems: string[] = [];
  let isLost = false;
  for (let at = 0; at < lines.length; at += 1) {
    const number = at + 1;
    const line = (lines[at] ?? '').trimStart();
    if (line === '' || line.startsWith('#')) {
      isLost = false;
      continue;
    }
    const assigned = splitLine(line);
    isLost = assigned === null || (isLost && !loudPattern.test(assigned.name));
    if (assigned === null || isLost) {
      problems.push(`line ${number} is not NAME=value`);
      continue;
    }
    const { name, rest } = assigned;
    if (values.has(name)) problems.push(`line ${number} sets ${name} again`);
    const quote = rest.charAt(0);
    if (!quotes.includes(quote)) {
      values.set(name, unquoted(rest));
      continue;
    }
    const parts: string[] = [];
    let part = rest.slice(1);
    let end = closeOf(part, quote);
    while (end === -1 && at + 1 < lines.length) {
      parts.push(part);
      at += 1;
      part = lines[at] ?? '';
      end = closeOf(part, quote);
    }
    if (end === -1) {
      problems.push(`line ${number} opens a quote that never ends: what follows it was not read`);
      break;
    }
    const behind = part.slice(end + 1).trim();
    if (behind !== '' && !behind.startsWith('#')) problems.push(`line ${at + 1} goes on behind its quote`);
    const quoted = [...parts, part.slice(0, end)].join('\n');
    values.set(name, quote === '"' ? unescaped(quoted) : quoted);
  }
  return { values, problems };
}

function splitLine(line: string): { name: string; rest: string } | null {
  const equals = line.indexOf('=');
  if (equals === -1) return null;
  const name = line
    .slice(0, equals)
    .trim()
    .replace(/^export\s+/, '');
  return namePattern.test(name) ? { name, rest: line.slice(equals + 1).trimStart() } : null;
}

function unquoted(rest: string): string {
  const comment = rest.startsWith('#') ? 0 : rest.search(/\s#/);
  return (comment === -1 ? rest : rest.slice(0, comment)).trimEnd();
}

function closeOf(part: string, quote: string): number {
  for (let at = 0; at < part.length; at += 1) {
    if (part[at] === '\\' && quote === '"') at += 1;
    else if (part[at] === quote) return at;
  }
  return -1;
}

function unescaped(text: string): string {
  return text.replace(/\\([^])/g, (_all, sign: string) => escapes[sign] ?? sign);
}

/** Values that wait for somebody to put in the real one. */
export function isPlaceholder(value: string): boolean {
  const word = value.trim().toLowerCase();
  if (/^(?:<[^>]*>|x{3,}|\.{3}|\{\{[^}]*\}\})$/.test(word)) return true;
  if (/^your[-_ ][a-z0-9-_ ]*$/.test(word)) return true;
  return ['changeme', 'replaceme', 'todo', 'tbd', 'fixme', 'placeholder'].includes(
    word.replace(/[-_ ]/g, ''),
  );
}
