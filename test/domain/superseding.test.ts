import { describe, expect, test } from 'vitest';
import { maxIssues } from '../../domain/analyzers/issue.ts';
import type { Analysis } from '../../domain/halo.ts';
import { type CycleKnowledge, findSuperseded, type WaitingProposal } from '../../domain/superseding.ts';

const done = (analyzer: Analysis['analyzer'], issues = 0): Analysis => ({
  ...{ analyzer, state: 'done', tookMs: 1, issues },
});
const knowledge = (given: Partial<CycleKnowledge> = {}): CycleKnowledge => ({
  incidents: [],
  analyses: [done('endpoint-health'), done('agent-health')],
  found: [],
  proposed: [],
  openRoots: [],
  ...given,
});
const waiting = (target: string, given: Partial<WaitingProposal> = {}): WaitingProposal => ({
  ...{ taskId: `task of ${target}`, target, goodSince: 0, seenSince: false },
  ...given,
});
const well = waiting('probe:shop', { goodSince: 3 });
const incident = {
  root: 'probe:db',
  name: 'database',
  members: ['probe:shop', 'agent:a'],
  because: 'they depend on database',
};
const ids = (proposals: WaitingProposal[], given: Partial<CycleKnowledge>): string[] =>
  findSuperseded(proposals, knowledge(given)).map(({ taskId }) => taskId);

describe('a member of an incident', () => {
  const found = ['probe:db', 'probe:shop'];

  test('gives way to the root, which the reason names', () => {
    const [one] = findSuperseded(
      [waiting('probe:shop')],
      knowledge({ incidents: [incident], found, openRoots: ['probe:db'] }),
    );
    expect(one).toEqual({
      taskId: 'task of probe:shop',
      because: 'its cause is database (probe:db), which has a proposal of its own: they depend on database',
    });
  });

  test('stays where nobody is asked about the root, so that somebody is asked at all', () => {
    expect(ids([waiting('probe:shop')], { incidents: [incident], found })).toEqual([]);
  });

  test('stays where it is the root of another incident, or is proposed by the same cycle', () => {
    const given = { incidents: [incident], found, openRoots: ['probe:db'] };
    const other = { root: 'probe:shop', name: 'shop', members: ['probe:web'], because: '' };
    expect(ids([waiting('probe:shop')], { ...given, incidents: [incident, other] })).toEqual([]);
    expect(ids([waiting('probe:shop')], { ...given, proposed: ['probe:shop'] })).toEqual([]);
  });

  test('never takes the proposal of the root with it, not even one of a healthy root', () => {
    const given = { incidents: [incident], openRoots: ['probe:db'] };
    expect(ids([waiting('probe:db', { goodSince: 3 })], given)).toEqual([]);
  });
});

describe('a target that is healthy again', () => {
  test('is one that nothing was found for, with evidence that is newer than the proposal', () => {
    expect(ids([well], {})).toEqual(['task of probe:shop']);
    expect(ids([waiting('agent:a', { seenSince: true })], {})).toEqual(['task of agent:a']);
  });

  test.each([
    ['two good results are too few', waiting('probe:shop', { goodSince: 2 })],
    ['an agent that was not seen since', waiting('agent:a')],
    ['a sign of life says nothing of an endpoint', waiting('probe:shop', { seenSince: true })],
    ['a kind that no analyzer of health knows', waiting('squad:Ops', { goodSince: 3, seenSince: true })],
  ])('is not: %s', (_what, proposal) => {
    expect(ids([proposal], {})).toEqual([]);
  });

  test('is not one that anything was found for, however slight', () => {
    expect(ids([well], { found: ['probe:shop'] })).toEqual([]);
  });

  test('is not known from an analyzer that failed, did not run, or found more than a cycle carries (K18)', () => {
    const failed = { ...done('endpoint-health'), state: 'failed' as const };
    for (const analyses of [[failed], [done('agent-health')], [], [done('endpoint-health', maxIssues)]])
      expect(ids([well], { analyses })).toEqual([]);
  });
});
