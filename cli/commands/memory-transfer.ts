import type { ArgsDef } from 'citty';
import { command } from '../command.ts';
import { safeJson } from '../escape.ts';
import { readNumber, readObjectFile } from '../input.ts';
import type { MemoryGenes, MemoryImport, MemoryRecord } from '../memory-views.ts';
import { usage } from '../problem.ts';
import { bodyOf, show } from '../session.ts';
import type { Page } from '../views.ts';

export const filterArgs = {
  kind: { type: 'enum', options: ['agent', 'squad', 'endpoint', 'spore'], description: 'Only this kind' },
  tag: { type: 'string', valueHint: 'TAG', description: 'Only with this tag' },
  trait: {
    type: 'string',
    valueHint: 'TRAIT',
    description: 'Only with this trait; --min and --max are of it',
  },
  min: { type: 'string', valueHint: '0..1', description: 'At least so much of the trait' },
  max: { type: 'string', valueHint: '0..1', description: 'At most so much of the trait' },
} satisfies ArgsDef;

export const exportCommand = command({
  name: 'export',
  about: 'Print all records as one JSON object that import takes, or as trait strings',
  args: { ...filterArgs, dna: { type: 'boolean', description: 'A trait string a line instead of JSON' } },
  run: async (session, { kind, tag, trait, min, max, dna }) => {
    const filter = {
      ...{ kind, tag, trait, limit: '200' },
      ...{ min: readNumber('min', min)?.toString(), max: readNumber('max', max)?.toString() },
    };
    const lines: string[] = [];
    const records: MemoryGenes[] = [];
    for (let cursor: string | undefined; ;) {
      const reply = await session.api.get(dna === true ? '/v1/memory' : '/v1/memory/export', {
        ...filter,
        cursor,
      });
      let next: string | null;
      if (dna === true) {
        const page = bodyOf<Page<MemoryRecord>>(reply);
        lines.push(...page.items.map((record) => record.dna));
        next = page.nextCursor;
      } else {
        const page = bodyOf<{ records: MemoryGenes[]; nextCursor: string | null }>(reply);
        records.push(...page.records);
        next = page.nextCursor;
      }
      if (next === null) break;
      cursor = next;
    }
    if (dna !== true) session.out.line(safeJson(JSON.stringify({ records })));
    else if (session.out.json) session.out.line(safeJson(JSON.stringify({ records: lines })));
    else for (const line of lines) session.out.line(line);
    return 'ok';
  },
});

export const importCommand = command({
  name: 'import',
  about: 'Take the records of an export, all or none; at most 1,000 at once',
  args: {
    file: { type: 'positional', required: true, description: 'File with {"records": [...]}, or - for stdin' },
    reason: { type: 'string', required: true, valueHint: 'TEXT', description: 'Why; it is audited' },
    replace: { type: 'boolean', description: 'Replace records that are there and differ' },
    preview: { type: 'boolean', description: 'Say what would become of which record, and write nothing' },
  },
  run: async (session, { file, reason, replace, preview }) => {
    const { records, ...more } = await readObjectFile(file);
    const [unknown] = Object.keys(more);
    if (unknown !== undefined || !Array.isArray(records))
      throw usage(`${file === '-' ? 'stdin' : file} has to hold {"records": [...]} and nothing else.`);
    const path = `/v1/memory/import${preview === true ? '?preview=true' : ''}`;
    const reply = await session.api.post(path, { records, replace: replace === true, reason });
    const done = bodyOf<MemoryImport>(reply);
    show(session, reply, () =>
      (['created', 'replaced', 'same', 'conflicts'] as const).map((what) => {
        const names = done[what];
        const some =
          names.length === 0 ? '' : `: ${names.slice(0, 10).join(', ')}${names.length > 10 ? ', ...' : ''}`;
        return `${preview === true && (what === 'created' || what === 'replaced') ? `would be ${what}` : what} ${names.length}${some}`;
      }),
    );
    return 'ok';
  },
});
