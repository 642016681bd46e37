import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AgentCandidate, agentStates, chooseAgent } from '../../domain/agent.ts';
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
