import { command } from '../command.ts';
import { visible } from '../escape.ts';
import { instant, marked } from '../format.ts';
import { table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { AnalyzersView } from '../insight-views.ts';

export const analyzersCommand = command({
  name: 'analyzers',
  about: 'What HALO looks at, and how each analyzer last did',
  args: {},
  run: async (session) => {
    const reply = await session.api.get('/v1/halo/analyzers');
    const { items, planned } = bodyOf<AnalyzersView>(reply);
    const heads = ['ANALYZER', 'MODES', 'STATE', 'LAST LOOK', 'ISSUES', 'TOOK', 'CYCLE', 'WATCHES'];
    const rows = items.map(({ name, modes, watches, lastLook }) => [
      ...[name, modes.join(', ')],
      ...(lastLook === null
        ? ['-', 'not yet', '-', '-', '-']
        : [
            ...[marked(lastLook.state), instant(lastLook.at)],
            ...[String(lastLook.issues), `${lastLook.tookMs} ms`, lastLook.cycleId],
          ]),
      watches,
    ]);
    const checks = items.flatMap((one) =>
      one.checks.map(({ name, state, said }) => [`${one.name}/${name}`, marked(state), said]),
    );
    const healths = items.flatMap(({ name, health }) =>
      health === null ? [] : [`${name}: ${Math.round(health * 100)} % of the configured checks are green`],
    );
    show(session, reply, () => [
      ...table(session.out, heads, rows),
      ...(checks.length === 0 ? [] : ['', ...table(session.out, ['CHECK', 'STATE', 'SAID'], checks)]),
      ...healths,
      '',
      ...planned.map((one) => visible(`to come: ${one.name} (${one.about}), with ${one.comesWith}`)),
    ]);
    return 'ok';
  },
});
