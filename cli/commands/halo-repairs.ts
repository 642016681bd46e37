import { verdicts } from '../../domain/verdict.ts';
import { command } from '../command.ts';
import { hintMore, instant, marked, pageArgs } from '../format.ts';
import { table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { Repair } from '../halo-views.ts';
import type { Page } from '../views.ts';

export const repairsCommand = command({
  name: 'repairs',
  about: 'What HALO had repaired and whether it helped, newest first',
  args: {
    action: { type: 'string', valueHint: 'TYPE', description: 'Only this type of task' },
    target: { type: 'string', valueHint: 'TARGET', description: 'Only this target' },
    verdict: { type: 'enum', options: [...verdicts], description: 'Only these' },
    ...pageArgs,
  },
  run: async (session, { action, target, verdict, limit, cursor }) => {
    const reply = await session.api.get('/v1/repairs', { action, target, verdict, limit, cursor });
    const page = bodyOf<Page<Repair>>(reply);
    const heads = ['TASK', 'ACTION', 'TARGET', 'REPAIRED', 'DID IT HELP', 'BECAUSE'];
    const rows = page.items.map((repair) => [
      ...[repair.taskId, repair.action, repair.target, instant(repair.repairedAt)],
      ...[marked(repair.verdict ?? repair.state), repair.because ?? '-'],
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No repairs.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});
