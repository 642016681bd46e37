import { command } from '../command.ts';
import { visible } from '../escape.ts';
import { linkLine } from '../format.ts';
import { facts } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import { switchLines } from '../switch.ts';
import type { Status } from '../views.ts';

export const statusCommand = command({
  name: 'status',
  about: 'One look at the whole system; ends with 8 while a part of it does not answer',
  args: {},
  run: async (session) => {
    const { out, api } = session;
    const reply = await api.get('/v1/status');
    const status = bodyOf<Status>(reply);
    const { readiness, lastCycle } = status;
    show(session, reply, () => [
      readiness.ready ? out.paint('green', 'ready') : out.paint('red', 'not ready'),
      ...status.killSwitches.flatMap((each) => switchLines(out, each)),
      ...Object.entries(readiness.checks)
        .filter(([, check]) => !check.ok)
        .map(([name, check]) => visible(`  ${name}: ${check.message}`)),
      ...facts(out, [
        ['api', api.url],
        ['inbox', `${status.openApprovals} open`],
        ['tasks', countText(status.tasks)],
        ['agents', countText(status.agents)],
        ['probes', countText(status.probes)],
        ['last cycle', lastCycle === null ? 'none' : `${lastCycle.id} ${lastCycle.state}`],
        ['raw signals', status.rawSignals === 'accept' ? 'ACCEPTED WITHOUT A TICKET' : null],
      ]),
      ...(lastCycle === null ? [] : [linkLine(out, lastCycle.temporal)]),
    ]);
    return readiness.ready ? 'ok' : 'unavailable';
  },
});

function countText(counts: Record<string, number>): string {
  return (
    Object.entries(counts)
      .map(([state, count]) => `${count} ${state}`)
      .join(', ') || 'none'
  );
}
