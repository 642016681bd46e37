import { describe, expect, test } from 'vitest';
import {
  haloCycleWorkflowId,
  messageNames,
  probeScheduleId,
  probeWorkflowId,
  redriveWorkflowId,
  runAttributes,
  runSummary,
  searchAttributes,
  replayWorkflowId,
  subscriptionWorkflowId,
  taskQueues,
  taskWorkflowId,
} from '../../domain/names.ts';

const run = {
  summary: 'Repair the shop',
  kind: 'task',
  entity: 'tsk_1',
  state: 'pending',
  severity: 'high',
  subsystem: 'squad',
};

// Wire format: a changed name strands work that runs.
describe('names on the wire', () => {
  test.each([
    [taskWorkflowId('tsk_1', 1), 'task/tsk_1'],
    [taskWorkflowId('tsk_1', 2), 'task/tsk_1/2'],
    [haloCycleWorkflowId('cyc_1'), 'halo-cycle/cyc_1'],
    [probeWorkflowId('prb_1', 'x'), 'probe/prb_1/x'],
    [probeScheduleId('prb_1'), 'probe-schedule/prb_1'],
    [subscriptionWorkflowId('halo'), 'subscription/halo'],
    [redriveWorkflowId('rdr_1'), 'redrive/rdr_1'],
    [replayWorkflowId('rpl_1'), 'replay/rpl_1'],
  ])('%s', (made, expected) => {
    expect(made).toBe(expected);
  });

  test('queues, search attributes and messages keep their names', () => {
    expect({ taskQueues, searchAttributes, messageNames }).toEqual({
      taskQueues: { main: 'dreamnet', effects: 'dreamnet-effects', bus: 'dreamnet-bus' },
      searchAttributes: {
        kind: 'DreamKind',
        entity: 'DreamEntity',
        state: 'DreamState',
        severity: 'DreamSeverity',
        subsystem: 'DreamSubsystem',
      },
      messageNames: {
        approval: 'approval',
        decide: 'decide',
        dispatch: 'dispatch',
        cancel: 'cancel',
        hold: 'hold',
        release: 'release',
        superseded: 'superseded',
        taskState: 'taskState',
        haloTrigger: 'trigger',
        haloRequest: 'requestCycle',
        haloPause: 'setPaused',
        haloState: 'loopState',
        cycleState: 'cycleState',
        redriveCancelled: 'redriveCancelled',
        redriveProgress: 'redriveProgress',
        pause: 'pause',
        resume: 'resume',
        rewind: 'rewind',
        subscriptionState: 'subscriptionState',
        replayState: 'replayState',
      },
    });
  });

  test('each run of a task has an id of its own', () => {
    const ids = [1, 2, 3].map((number) => taskWorkflowId('tsk_1', number));
    expect(new Set(ids).size).toBe(3);
  });
});

describe('what a person sees of a run', () => {
  test('its attributes', () => {
    expect(runAttributes(run)).toEqual({
      DreamKind: 'task',
      DreamEntity: 'tsk_1',
      DreamState: 'pending',
      DreamSeverity: 'high',
      DreamSubsystem: 'squad',
    });
  });

  test.each(['x', 'ü', '漢', '😀'])(
    'a summary of many %s fits into the 400 bytes of the server',
    (character) => {
      const summary = runSummary({ ...run, summary: character.repeat(1000) });
      expect(Buffer.byteLength(summary)).toBeLessThanOrEqual(400);
      expect(summary.length).toBeGreaterThan(90);
    },
  );

  test('a short summary is kept', () => {
    expect(runSummary(run)).toBe('Repair the shop');
  });
});
