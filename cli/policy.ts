import { approvalsNeeded, type Approvers, type PolicyMatch } from '../domain/policy.ts';
import { visible } from './escape.ts';
import { duration } from './format.ts';
import { type Cell, facts, type Output, table } from './output.ts';
import type { BackTest, Policy } from './views.ts';

const span = (ms: number | null): string => (ms === null ? '-' : duration(ms / 1000));

function approversOf({ roles, groups }: Approvers): string {
  const named = [...roles, ...groups.map((group) => `group ${group}`)];
  return named.length === 0 ? 'anyone who may decide' : named.join(' or ');
}

/** What a policy is for, in one line. */
function matchOf(match: PolicyMatch): string {
  const parts = Object.entries(match)
    .filter(([, wanted]) => wanted.length > 0)
    .map(([name, wanted]) => `${name}: ${wanted.join(', ')}`);
  return parts.length === 0 ? 'everything' : parts.join('; ');
}

export function policyRow(policy: Policy): Cell[] {
  return [
    policy.id,
    String(policy.place),
    policy.enabled ? { text: 'in force', style: 'green' } : 'off',
    policy.name,
    String(policy.version),
    String(approvalsNeeded(policy.rule)),
    span(policy.rule.expiresInMs),
    matchOf(policy.match),
  ];
}

export function describePolicy(out: Output, policy: Policy): string[] {
  const { rule } = policy;
  const yes = (is: boolean): string => (is ? 'yes' : 'no');
  return facts(out, [
    ['policy', policy.id],
    ['name', policy.name],
    ['version', policy.version],
    ['in force', yes(policy.enabled)],
    ['place', policy.builtIn ? 'last' : policy.place],
    ['for', matchOf(policy.match)],
    ...rule.stages.map((stage, index): [string, string] => [
      `stage ${index + 1}`,
      `${stage.approvals} of ${approversOf(stage.approvers)}`,
    ]),
    ['expires after', span(rule.expiresInMs)],
    ['reminds every', span(rule.remindEveryMs)],
    [
      'escalates',
      rule.escalateAfterMs === null
        ? '-'
        : `after ${span(rule.escalateAfterMs)} to ${approversOf(rule.escalateTo)}`,
    ],
    ['hand-over', yes(rule.handOverAllowed)],
    ['edit', yes(rule.editAllowed)],
    ['reason needed', yes(rule.reasonRequired)],
    ['login not older than', span(rule.freshLoginMs)],
    ['dispatch', rule.dispatchMode],
    ['written by', policy.editedBy],
    ['enabled by', policy.enabledBy],
  ]);
}

const shownItems = 20;
const heads = ['ID', 'EFFECT', 'TITLE', 'POLICY', 'PEOPLE', 'VOTES THAT WOULD NOT COUNT', 'DISPATCH'];

/** A short table of what would differ, and the totals under it. */
export function describeBackTest(out: Output, tested: BackTest): string[] {
  const { totals } = tested;
  const rows = tested.items
    .slice(0, shownItems)
    .map((item): Cell[] => [
      item.id,
      item.effect,
      item.title,
      item.policy.from === item.policy.to ? item.policy.to : `${item.policy.from} -> ${item.policy.to}`,
      item.people === null ? '' : `${item.people.from} -> ${item.people.to}`,
      item.votesNotCounted.map(({ name, because }) => `${name} (${because})`).join(', '),
      item.dispatch === null ? '' : `${item.dispatch.from} -> ${item.dispatch.to}`,
    ]);
  const left = tested.itemsLeftOut + Math.max(0, tested.items.length - shownItems);
  const { effects } = totals;
  return [
    ...(rows.length === 0 ? [] : [...table(out, heads, rows), ...(left > 0 ? [`and ${left} more`] : []), '']),
    ...facts(out, [
      ['policy', `${tested.policy.name} (${tested.policy.id})`],
      ['approvals', `${totals.approvals} in ${tested.days} days`],
      ['unchanged', effects.unchanged],
      ['same end, other rule', effects.changed],
      ['decided sooner', effects.sooner],
      ['slowed: more people', effects.slowed],
      ['refused: a vote would not count', effects.refused],
      ['expired before its decision', effects.expired],
      ['more people / fewer people', `${totals.morePeople} / ${totals.fewerPeople}`],
      ['dispatched by itself / by hand', `${totals.becomeAutomatic} / ${totals.becomeManual}`],
      ['median waiting', `${span(totals.medianWaitMs)} -> ${span(totals.medianWouldWaitMs)}`],
    ]),
    '',
    ...tested.notes.map((note) => out.paint('dim', visible(`note: ${note}`))),
  ];
}
