import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AgentCandidate,
  agentStates,
  chooseAgent,
  explainChoice,
  rankAgents,
} from '../../domain/agent.ts';
import { propertyRuns } from './runs.ts';

function anAgent(given: Partial<AgentCandidate> = {}): AgentCandidate {
  return {
    id: `agt_${given.name ?? 'a'}`,
    name: 'a',
    role: 'DeployKeeper',
    capabilities: ['repair.api.endpoint'],
    executor: 'command',
    configVersion: 1,
    state: 'online',
    running: 0,
    maxConcurrency: 2,
    paths: {},
    squads: {},
    ...given,
  };
}
const task = { type: 'repair.api.endpoint', targetRole: 'DeployKeeper' as const };

describe('chooseAgent', () => {
  test.each<[string, Partial<AgentCandidate>, boolean]>([
    ['its role and the exact capability', {}, true],
    ['a capability that ends in a star', { capabilities: ['repair.*'] }, true],
    ['a star alone', { capabilities: ['*'] }, true],
    ['one of several capabilities', { capabilities: ['x', 'repair.api.endpoint'] }, true],
    ['another role', { role: 'DreamOps' }, false],
    ['another capability', { capabilities: ['repair.api'] }, false],
    ['a prefix without a star', { capabilities: ['repair.'] }, false],
    ['no capability', { capabilities: [] }, false],
    ['registered', { state: 'registered' }, true],
    ['busy', { state: 'busy' }, true],
    ['offline, as it may come back', { state: 'offline' }, true],
    ['draining', { state: 'draining' }, false],
    ['disabled', { state: 'disabled' }, false],
  ])('%s: %s', (_what, given, takes) => {
    const agent = anAgent(given);
    expect(chooseAgent([agent], task)).toEqual(takes ? agent : null);
  });

  test('without agents nobody takes it', () => {
    expect(chooseAgent([], task)).toBeNull();
  });

  test('the readiest goes first, then the name decides, in whatever order they are listed', () => {
    const agents = [
      anAgent({ name: 'b', state: 'online' }),
      anAgent({ name: 'c', state: 'online' }),
      anAgent({ name: 'a', state: 'registered' }),
      anAgent({ name: 'd', state: 'busy' }),
      anAgent({ name: 'e', state: 'offline' }),
    ];
    fc.assert(
      fc.property(fc.shuffledSubarray(agents, { minLength: 1 }), (some) => {
        const readiest = agents.find(
          (agent) => some.includes(agent) && !(agent.name === 'c' && some.some(({ name }) => name === 'b')),
        );
        expect(chooseAgent(some, task)?.name).toBe(readiest?.name);
      }),
      propertyRuns,
    );
  });

  test('the list that was given is left alone, and a disabled agent is never chosen', () => {
    const agents = agentStates.map((state) => anAgent({ name: state, state }));
    const before = structuredClone(agents);
    expect(chooseAgent(agents, task)?.name).toBe('online');
    expect(agents).toEqual(before);
  });
});

describe('the choice among able agents', () => {
  const names = (agents: AgentCandidate[], squad: string | null = null): string[] =>
    rankAgents(agents, { ...task, squad }).map(({ name }) => name);

  test('the less loaded goes first, by its own limit', () => {
    const half = anAgent({ name: 'a', running: 1, maxConcurrency: 2 });
    expect(names([half, anAgent({ name: 'b', running: 2, maxConcurrency: 10 })])).toEqual(['b', 'a']);
  });

  test('of equally loaded ones the stronger path to this type of work', () => {
    const worn = anAgent({ name: 'b', paths: { 'repair.api.endpoint': 0.4 } });
    const other = anAgent({ name: 'a', paths: { 'other.type': 0.9, 'repair.api.endpoint': 0.3 } });
    expect(names([other, worn])).toEqual(['b', 'a']);
    expect(explainChoice([other, worn], task)).toMatchObject({
      because: 'b: a stronger path to this type of work (0.60, not 0.50) than a',
      standings: [
        { name: 'b', path: 0.4 },
        { name: 'a', path: 0.3 },
      ],
    });
  });

  test('members of the squad of the task go before everybody else, and only for its tasks', () => {
    const member = anAgent({ name: 'z', state: 'busy', running: 1, squads: { shop: 'DreamOps' } });
    expect(names([anAgent(), member], 'shop')).toEqual(['z', 'a']);
    expect(names([anAgent(), member], 'other')).toEqual(['a', 'z']);
    expect(names([anAgent(), member])).toEqual(['a', 'z']);
  });

  test('a role in the squad counts as a role for its tasks, and adds no 0.2', () => {
    const guest = anAgent({ name: 'g', role: 'DreamOps', squads: { shop: 'DeployKeeper' } });
    const own = anAgent({ name: 'o', squads: { shop: 'DreamOps' } });
    expect(names([guest])).toEqual([]);
    expect(names([guest, own], 'shop')).toEqual(['o', 'g']);
    expect(rankAgents([guest, own], { ...task, squad: 'shop' }).map(({ score }) => score)).toEqual([0.2, 0]);
  });

  test('a choice of nobody has no reason, and of one says that there was no other', () => {
    expect(explainChoice([], task)).toBeNull();
    expect(explainChoice([anAgent()], task)?.because).toContain('the only one');
  });
});
