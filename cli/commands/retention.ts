import type { CommandDef } from 'citty';
import { command } from '../command.ts';
import { confirm } from '../confirm.ts';
import { instant } from '../format.ts';
import { readList } from '../input.ts';
import { facts, type Output, table } from '../output.ts';
import { usage } from '../problem.ts';
import { bodyOf, show } from '../session.ts';
import type { Retention, RetentionPlan, RetentionRule } from '../bus-views.ts';

const path = '/v1/retention';
const rulesArg = {
  type: 'string',
  valueHint: 'TYPES=DAYS,...',
  description: "All rules, such as '*=90,noise.*=7'; the narrowest that fits an event counts",
} as const;

function readRules(text: string): RetentionRule[] {
  return readList(text).map((part) => {
    const [, types = '', days = ''] = /^(.+)=(\d{1,4})$/.exec(part) ?? [];
    if (types === '') throw usage(`--rules: "${part}" has to be TYPES=DAYS, such as noise.*=7.`);
    return { types, keepDays: Number(days) };
  });
}

function describe(
  out: Output,
  { rules, version, changedBy, changedAt, appliedAt, applied }: Retention,
): string[] {
  const went =
    applied === null
      ? null
      : `${applied.partitions.map(({ name }) => name).join(', ') || 'no month'}, ${applied.events} single events, ${applied.keys} ids`;
  return [
    ...table(
      out,
      ['TYPES', 'DAYS'],
      rules.map(({ types, keepDays }) => [types, String(keepDays)]),
    ),
    ...facts(out, [
      ['version', `${version}, ${instant(changedAt)} by ${changedBy}`],
      ['last removed', appliedAt === null ? null : instant(appliedAt)],
      ['that was', went],
    ]),
  ];
}

function describePlan(out: Output, plan: RetentionPlan): string[] {
  const months = plan.partitions.map((part) => [
    part.name,
    String(part.events),
    part.held ? 'held back' : 'goes',
  ]);
  const types = plan.types.map((each) => [
    ...[each.type, String(each.keepDays), String(each.expired - each.held), String(each.held)],
  ]);
  const holders = plan.holders.map((each) => [
    ...[each.kind, each.subscription, each.lane ?? '', each.isPaused ? 'paused' : '', String(each.count)],
  ]);
  return [
    ...(months.length === 0 ? ['No month goes.'] : table(out, ['MONTH', 'EVENTS', ''], months)),
    ...(types.length === 0 ? [] : table(out, ['TYPE', 'DAYS', 'GO', 'HELD BACK'], types)),
    `${plan.keys} ids are forgotten.`,
    ...(holders.length === 0 ? [] : table(out, ['HELD BY', 'SUBSCRIPTION', 'LANE', '', 'EVENTS'], holders)),
  ];
}

const showCommand = command({
  name: 'show',
  about: 'How long events are kept, by type',
  args: {},
  run: async (session) => {
    const reply = await session.api.get(path);
    show(session, reply, () => describe(session.out, bodyOf<Retention>(reply)));
    return 'ok';
  },
});

const planCommand = command({
  name: 'plan',
  about: 'Count what the rules, or others, would remove now, and what holds events back; removes nothing',
  args: { rules: rulesArg },
  run: async (session, { rules }) => {
    const body = rules === undefined ? {} : { rules: readRules(rules) };
    const reply = await session.api.post(`${path}/plan`, body);
    show(session, reply, () => describePlan(session.out, bodyOf<RetentionPlan>(reply)));
    return 'ok';
  },
});

const setCommand = command({
  name: 'set',
  about: 'Put other rules in the place of all; shows what they would remove, and asks',
  args: {
    rules: { ...rulesArg, required: true },
    yes: { type: 'boolean', description: 'Do it without a question' },
  },
  run: async (session, args) => {
    const rules = readRules(args.rules);
    const { version } = bodyOf<Retention>(await session.api.get(path));
    if (args.yes !== true && !session.out.json) {
      const plan = bodyOf<RetentionPlan>(await session.api.post(`${path}/plan`, { rules }));
      for (const line of describePlan(session.out, plan)) session.out.hint(line);
    }
    const isYes = await confirm(
      session,
      'What is removed does not come back. Set these rules?',
      args.yes === true,
    );
    if (!isYes) {
      session.out.hint('Nothing was done.');
      return 'usage';
    }
    const reply = await session.api.put(path, { rules, version });
    show(session, reply, () => describe(session.out, bodyOf<Retention>(reply)));
    return 'ok';
  },
});

export const retentionCommands: Record<string, CommandDef> = {
  show: showCommand,
  plan: planCommand,
  set: setCommand,
};
