import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeterminismViolationError } from '@temporalio/workflow';
import { Worker } from '@temporalio/worker';
import { describe, expect, test } from 'vitest';
import { workflowBundle } from '../support/worker.ts';

const folder = join(import.meta.dirname, 'histories');
const histories = readdirSync(folder).filter((name) => name.endsWith('.json'));

type History = { events: Record<string, unknown>[] };

function read(name: string): History {
  return JSON.parse(readFileSync(join(folder, name), 'utf8')) as History;
}

async function replay(history: History): Promise<void> {
  await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history);
}

describe('recorded histories', () => {
  test.each([
    'haloLoop',
    'haloCycle',
    'task',
    'probeRun',
    'subscription',
    'notification',
    'auditAnchor',
    'retention',
    ...['haloLoop', 'haloCycle', 'task', 'probeRun', 'subscription', 'notification', 'auditAnchor'],
    ...['redrive', 'haloTimer'],
    'replay',
  ])('%s has at least one', (workflow) => {
    expect(histories.filter((name) => name.startsWith(`${workflow}.`))).not.toEqual([]);
  });

  test.each([
    ...['approve', 'reject', 'expire', 'retry', 'signal', 'cancel', 'outcome-unknown'],
    ...['edit', 'remind', 'remind-expire', 'guidance'],
    ...['parked', 'stopped', 'superseded'],
    ...['dependencies', 'dependency-fails', 'not-before', 'place'],
  ])('the %s branch of the task has one', (scenario) => {
    expect(histories).toContainEqual(expect.stringMatching(`^task\\.${scenario}\\.v\\d+\\.json$`));
  });

  test.each(['trigger', 'pause', 'time', 'budget-spent', 'paused', 'continues', 'settled'])(
    'the %s branch of HALO has one',
    (scenario) => {
      expect(histories).toContainEqual(expect.stringMatching(`^haloLoop\\.${scenario}\\.v\\d+\\.json$`));
    },
  );

  test('a cycle that supersedes an earlier proposal has one', () => {
    expect(histories).toContainEqual(expect.stringMatching(/^haloCycle\.supersedes\.v\d+\.json$/));
  });

  test.each(['switched-off', 'lanes', 'paused', 'refused', 'rewound', 'balanced'])(
    'a subscription that is %s has one',
    (scenario) => {
      expect(histories).toContainEqual(expect.stringMatching(`^subscription\\.${scenario}\\.v\\d+\\.json$`));
    },
  );

  test.each(['sent', 'failed'])('the %s end of a notification has one', (scenario) => {
    expect(histories).toContainEqual(expect.stringMatching(`^notification\\.${scenario}\\.v\\d+\\.json$`));
  });

  test.each(['removed', 'step-fails'])('the %s end of the retention has one', (scenario) => {
    expect(histories).toContainEqual(expect.stringMatching(`^retention\\.${scenario}\\.v\\d+\\.json$`));
  });
  test.each(['no-issues', 'proposes', 'settles', 'analyzer-fails', 'learning-fails'])(
    'the %s branch of a cycle has one',
    (scenario) => {
      expect(histories).toContainEqual(expect.stringMatching(`^haloCycle\\.${scenario}\\.v\\d+\\.json$`));
    },
  );
  test.each(['done', 'canary-fails', 'too-many-fail', 'cancelled'])(
    'the %s end of a redrive has one',
    (scenario) => {
      expect(histories).toContainEqual(expect.stringMatching(`^redrive\\.${scenario}\\.v\\d+\\.json$`));
    },
  );
  test.each(['done', 'pages', 'failed', 'cancelled'])('the %s branch of a replay has one', (scenario) => {
    expect(histories).toContainEqual(expect.stringMatching(`^replay\\.${scenario}\\.v\\d+\\.json$`));
  });

  test.each(histories)('%s replays on this code', async (name) => {
    await expect(replay(read(name))).resolves.toBeUndefined();
  });
});

describe('a history that this code would not have made is refused', () => {
  test('another activity was scheduled', async () => {
    const history = read('task.approve.v1.json');
    const scheduled = history.events.find((event) => 'activityTaskScheduledEventAttributes' in event);
    const attributes = scheduled?.activityTaskScheduledEventAttributes as { activityType: { name: string } };
    attributes.activityType.name = 'runSomethingElse';
    await expect(replay(history)).rejects.toThrow(DeterminismViolationError);
  });

  test('another child was started', async () => {
    const history = read('haloCycle.proposes.v1.json');
    const initiated = history.events.find(
      (event) => 'startChildWorkflowExecutionInitiatedEventAttributes' in event,
    );
    const attributes = initiated?.startChildWorkflowExecutionInitiatedEventAttributes as {
      workflowId: string;
    };
    attributes.workflowId = 'task/another';
    await expect(replay(history)).rejects.toThrow(DeterminismViolationError);
  });
});
