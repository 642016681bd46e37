import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { hintMore, instant, pageArgs } from '../format.ts';
import { table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { AuditItem, Page } from '../views.ts';
import { exportCommand } from './audit-export.ts';
import { verifyCommand } from './audit-verify.ts';

const listCommand = command({
  name: 'list',
  about: 'Entries of the audit, newest first',
  args: {
    subject: {
      type: 'string',
      valueHint: 'ID',
      description: 'Of this task, approval, key or other thing only',
    },
    actor: { type: 'string', valueHint: 'ID', description: 'Of this principal only' },
    action: { type: 'string', valueHint: 'NAME', description: 'Such as approval.approve' },
    outcome: { type: 'enum', options: ['ok', 'refused'], description: 'Done, or refused' },
    ...pageArgs,
  },
  run: async (session, { subject, actor, action, outcome, limit, cursor }) => {
    const query = { subjectId: subject, actor, action, outcome, limit, cursor };
    const reply = await session.api.get('/v1/audit', query);
    const page = bodyOf<Page<AuditItem>>(reply);
    const rows = page.items.map((entry) => [
      ...[String(entry.chainNo), instant(entry.at), entry.outcome, entry.action, entry.actor],
      `${entry.subject.kind} ${entry.subject.id}`,
    ]);
    const heads = ['ENTRY', 'AT', 'OUTCOME', 'ACTION', 'ACTOR', 'SUBJECT'];
    show(session, reply, () => (rows.length === 0 ? ['No entries.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

export const auditCommands: Record<string, CommandDef> = {
  list: listCommand,
  export: exportCommand,
  verify: verifyCommand,
};
