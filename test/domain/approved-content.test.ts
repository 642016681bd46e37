import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { approvedContent, type WorkContent } from '../../domain/approved-content.ts';
import { canonical, type Json } from '../../domain/json.ts';
import { propertyRuns } from './runs.ts';

type Of<K extends WorkContent['kind']> = WorkContent & { kind: K };

const task: Of<'task'> = {
  kind: 'task',
  type: 'repair.api.endpoint',
  payload: { url: 'http://shop/', options: { hard: true } },
  target: 'probe:1',
  binding: { agentId: 'agt_1', executor: 'command', configVersion: 3 },
  risk: 'medium',
  policyVersion: 1,
};
const graft: Of<'graft'> = {
  kind: 'graft',
  spore: 'retry-http',
  sporeVersion: '1.2.0',
  contentHash: 'c'.repeat(64),
  parameters: { retries: 3, on: ['shop'] },
  target: 'service:shop',
  plannedDiff: [{ path: 'retry', from: null, to: 3 }],
  policyVersion: 1,
};
const deployment: Of<'deployment'> = { ...graft, kind: 'deployment' };
const fabric: Of<'fabric'> = {
  kind: 'fabric',
  artifactHash: 'a'.repeat(64),
  baseCommit: 'b'.repeat(40),
  findings: [
    { id: 'F1', level: 'warn', text: 'large' },
    { id: 'F2', level: 'block', text: 'network' },
  ],
  target: 'repo:shop',
  policyVersion: 1,
};
const remedy: Of<'remedy'> = {
  kind: 'remedy',
  action: 'restart',
  parameters: { grace: 5 },
  targets: ['service:a', 'service:b'],
  dependencyEvidence: ['evt_1', 'evt_2'],
  policyVersion: 1,
};

const text = (content: WorkContent): string => canonical(approvedContent(content));

/** A change of any part, one at a time: each makes another text and so another digest. */
const moves: [string, WorkContent, WorkContent][] = [
  ['task: type', task, { ...task, type: 'repair.other' }],
  ['task: payload', task, { ...task, payload: { url: 'http://shop/', options: { hard: false } } }],
  ['task: a further member of the payload', task, { ...task, payload: { ...task.payload, more: null } }],
  ['task: target', task, { ...task, target: 'probe:2' }],
  ['task: agent', task, { ...task, binding: { agentId: 'agt_2', executor: 'command', configVersion: 3 } }],
  ['task: executor', task, { ...task, binding: { agentId: 'agt_1', executor: 'http', configVersion: 3 } }],
  [
    'task: configuration',
    task,
    { ...task, binding: { agentId: 'agt_1', executor: 'command', configVersion: 4 } },
  ],
  ['task: loss of the agent', task, { ...task, binding: null }],
  ['task: risk', task, { ...task, risk: 'low' }],
  ['task: policy', task, { ...task, policyVersion: 2 }],
  ['graft: spore', graft, { ...graft, spore: 'other' }],
  ['graft: version', graft, { ...graft, sporeVersion: '1.2.1' }],
  ['graft: content', graft, { ...graft, contentHash: 'd'.repeat(64) }],
  ['graft: parameters', graft, { ...graft, parameters: { retries: 4, on: ['shop'] } }],
  ['graft: target', graft, { ...graft, target: 'service:bank' }],
  ['graft: planned diff', graft, { ...graft, plannedDiff: [{ path: 'retry', from: 1, to: 3 }] }],
  ['graft: policy', graft, { ...graft, policyVersion: 2 }],
  ['graft: that it is a deployment', graft, deployment],
  ['fabric: artifact', fabric, { ...fabric, artifactHash: 'e'.repeat(64) }],
  ['fabric: base commit', fabric, { ...fabric, baseCommit: 'e'.repeat(40) }],
  ['fabric: a finding less', fabric, { ...fabric, findings: fabric.findings.slice(1) }],
  [
    'fabric: the level of a finding',
    fabric,
    {
      ...fabric,
      findings: [{ ...fabric.findings[0], level: 'block' } as never, fabric.findings[1] as never],
    },
  ],
  ['fabric: target', fabric, { ...fabric, target: 'repo:bank' }],
  ['fabric: policy', fabric, { ...fabric, policyVersion: 2 }],
  ['remedy: action', remedy, { ...remedy, action: 'stop' }],
  ['remedy: parameters', remedy, { ...remedy, parameters: { grace: 6 } }],
  ['remedy: a target more', remedy, { ...remedy, targets: [...remedy.targets, 'service:c'] }],
  ['remedy: evidence', remedy, { ...remedy, dependencyEvidence: ['evt_1', 'evt_3'] }],
  ['remedy: policy', remedy, { ...remedy, policyVersion: 2 }],
];

describe('what an approval is bound to (TRUST 4.14)', () => {
  test.each(moves)('a change of %s is a change of content', (_what, before, after) => {
    expect(text(after)).not.toBe(text(before));
  });

  test('of a task it is exactly what runs', () => {
    expect(approvedContent(task)).toEqual({
      kind: 'task',
      type: 'repair.api.endpoint',
      payload: { url: 'http://shop/', options: { hard: true } },
      target: 'probe:1',
      executor: { agentId: 'agt_1', executor: 'command', configVersion: 3 },
      risk: 'medium',
      policyVersion: 1,
    });
  });

  test.each([task, graft, deployment, fabric, remedy])('live figures never move a $kind', (content) => {
    const live = { attempt: 4, progress: 0.5, evidence: ['evt_9'], severity: 'critical', cpu: 97, ageMs: 1 };
    expect(text({ ...content, ...live })).toBe(text(content));
  });

  test('the order in which findings, targets and evidence came does not matter', () => {
    expect(text({ ...fabric, findings: fabric.findings.toReversed() })).toBe(text(fabric));
    const turned = { targets: remedy.targets.toReversed(), dependencyEvidence: ['evt_2', 'evt_1'] };
    expect(text({ ...remedy, ...turned })).toBe(text(remedy));
  });

  test.each([task, graft, deployment, fabric, remedy])(
    'the order of keys does not move a $kind',
    (content) => {
      fc.assert(
        fc.property(fc.infiniteStream(fc.nat(1000)), (order) => {
          expect(text(shuffled(content as unknown as Json, order) as unknown as WorkContent)).toBe(
            text(content),
          );
        }),
        { ...propertyRuns, numRuns: Math.ceil(propertyRuns.numRuns / 10) },
      );
    },
  );
});

function shuffled(value: Json, order: Iterator<number>): Json {
  if (Array.isArray(value)) return value.map((member) => shuffled(member, order));
  if (value === null || typeof value !== 'object') return value;
  const members = Object.entries(value).map(([key, member]) => ({
    place: Number(order.next().value),
    member: [key, shuffled(member, order)] as const,
  }));
  members.sort((a, b) => a.place - b.place);
  return Object.fromEntries(members.map(({ member }) => member));
}
