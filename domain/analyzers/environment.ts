import { type Check, checkOf, type CheckFinding, notConfigured } from './check.ts';
import { type EnvFile, isPlaceholder } from './env-file.ts';
import type { Issue, IssueSeverity } from './issue.ts';

export type EnvFileSnapshot = { path: string } & ({ file: EnvFile } | { unread: string });

const namedKeys = 3;
const keptKeys = 50;

/**
 * Files against the first: a missing key or an unreadable file is high, a differing value medium; where the first holds
 * nothing or a placeholder, it is a template that any value fits, and a placeholder left in another file is medium
 * (LEDGER 1.2). Only names of keys leave this rule.
 */
export function analyzeEnvironment(files: readonly EnvFileSnapshot[], owner = ''): Issue[] {
  const [reference] = files;
  if (reference === undefined) return [];
  return files.flatMap((one, index): Issue[] => {
    const report = (
      what: string,
      severity: IssueSeverity,
      title: string,
      found: readonly string[],
    ): Issue => ({
      key: `${one.path}:${what}`,
      analyzer: 'environment',
      entityKind: 'environment',
      entityId: one.path,
      entityName: one.path,
      severity,
      title,
      subject: { file: one.path, reference: reference.path },
      owner,
      evidence: [],
      observed: { [what]: found.slice(0, keptKeys), count: found.length },
    });
    if ('unread' in one) {
      const blind = index === 0 ? ', so nothing is compared with it' : '';
      return [report('unread', 'high', `cannot be read: ${one.unread}${blind}`, [])];
    }
    const { values, problems } = one.file;
    const issues: Issue[] = [];
    const add = (
      what: string,
      severity: IssueSeverity,
      found: readonly string[],
      say: (n: string) => string,
    ) => {
      if (found.length > 0) issues.push(report(what, severity, say(listed(found)), found));
    };
    if (index > 0 && 'file' in reference) {
      const wanted = reference.file.values;
      const differing = [...wanted].filter(([key, value]) => differs(value, values.get(key)));
      const missing = [...wanted.keys()].filter((key) => !values.has(key));
      const extra = [...values.keys()].filter((key) => !wanted.has(key));
      const open = [...values].filter(([, value]) => isPlaceholder(value)).map(([key]) => key);
      const named = differing.map(([key]) => key).filter((key) => !open.includes(key));
      add('missing', 'high', missing.sort(), (keys) => `lacks ${keys} of ${reference.path}`);
      add(
        'different',
        'medium',
        named.sort(),
        (keys) => `has another value than ${reference.path} for ${keys}`,
      );
      add('placeholder', 'medium', open.sort(), (keys) => `still has a placeholder for ${keys}`);
      add('extra', 'low', extra.sort(), (keys) => `has ${keys}, which ${reference.path} lacks`);
    }
    add('unclear', 'low', problems, (lines) => lines);
    return issues;
  });
}

/** The same as one check, red or amber by the worst of its weak points; a low finding leaves it green. */
export function checkEnvironment(
  files: readonly EnvFileSnapshot[],
  owner = '',
): { issues: Issue[]; checks: Check[] } {
  const name = 'files';
  if (files.length === 0) return { issues: [], checks: [notConfigured(name)] };
  const issues = analyzeEnvironment(files, owner);
  const paths = files.map(({ path }) => path);
  return { issues, checks: [checkOf(name, paths, findingsOf(issues))] };
}

/** Weak points as findings of a check. */
export function findingsOf(issues: readonly Issue[]): CheckFinding[] {
  return issues
    .filter(({ severity }) => severity !== 'low')
    .map(({ entityName, severity, title }) => ({
      item: entityName,
      state: severity === 'medium' ? 'amber' : 'red',
      said: title,
    }));
}

function differs(wanted: string, value: string | undefined): boolean {
  return value !== undefined && wanted !== '' && !isPlaceholder(wanted) && value !== wanted;
}

function listed(found: readonly string[]): string {
  const more = found.length - namedKeys;
  return `${found.slice(0, namedKeys).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
