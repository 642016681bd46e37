import { generateKeyPairSync } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { createDecisionActivities } from '../../activities/decisions.ts';
import { createTaskActivities } from '../../activities/tasks.ts';
import { createWormholesHandler } from '../../activities/wormholes.ts';
import { createSecretBox } from '../../db/sealed.ts';
import type { Delivery } from '../../domain/delivery.ts';
import { haloWorkflowId, messageNames, taskQueues, taskWorkflowId } from '../../domain/names.ts';
import { createRuns } from '../../workers/runs.ts';
import { eventually } from '../db/eventually.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aLoggedEvent } from '../support/events.ts';
import { realTime } from '../support/temporal.ts';
import { createWorker } from '../support/worker.ts';
import { aDelivery, aWormhole } from '../support/wormholes.ts';

let environment: TestWorkflowEnvironment;
let database: TestDatabase;
let people: People;

beforeAll(async () => {
  environment = await realTime();
  database = await openTestDatabase();
  people = await createPeople(database);
});

function deliver(...deliveries: Delivery[]) {
  const handler = createWormholesHandler({
    database,
    runs: createRuns(environment.client),
    agentRoot: 'an agent root that only tests use, long enough',
    secretBox: createSecretBox('a secret box key that only tests use, long enough'),
    log: { warn: () => undefined },
  });
  return handler.deliver(deliveries, {
    ...{ subscription: 'wormholes', config: {}, signal: new AbortController().signal },
  });
}

test('a task that a wormhole proposes has a run that waits for a person, however often the event arrives', async () => {
  const wormhole = await aWormhole(database, people.admin, {
    kind: 'create-task',
    task: { type: 'repair.shop', title: 'Repair', target: 'shop:x', targetRole: 'DeployKeeper', risk: 'low' },
  });
  const event = aLoggedEvent({ type: `shop.${wormhole.id}` });
  const worker = await createWorker(environment, taskQueues.main, {
    ...createTaskActivities({ database }),
    ...createDecisionActivities({
      ...{ database, ticketKey: generateKeyPairSync('ed25519').publicKey, acceptRawSignals: false },
    }),
  });
  await worker.runUntil(async () => {
    for (let time = 0; time < 2; time += 1)
      expect(await deliver(aDelivery(event))).toEqual({ failures: [], later: [] });
    const look = () => database.root<{ id: string; state: string; run_id: string | null }[]>`
      select id, state, run_id from tasks where origin_id = ${wormhole.id}`;
    await eventually(async () => (await look())[0]?.run_id ?? null).not.toBeNull();
    const tasks = await look();
    expect(tasks).toMatchObject([{ state: 'pending-approval' }]);
    const handle = environment.client.workflow.getHandle(taskWorkflowId(tasks[0]!.id, 1));
    const { status, runId } = await handle.describe();
    expect([status.name, runId]).toEqual(['RUNNING', tasks[0]!.run_id]);
    await handle.terminate();
  });
});

test('a wormhole that triggers HALO reaches it with the event, once', async () => {
  const wormhole = await aWormhole(database, people.admin, { kind: 'trigger-halo' });
  const event = aLoggedEvent({ type: `shop.${wormhole.id}`, severity: 'critical' });
  for (let time = 0; time < 2; time += 1) await deliver(aDelivery(event));
  const handle = environment.client.workflow.getHandle(haloWorkflowId);
  const { events } = await handle.fetchHistory();
  await handle.terminate();
  const signals = (events ?? [])
    .flatMap(({ workflowExecutionSignaledEventAttributes: attributes }) => attributes ?? [])
    .filter(({ signalName }) => signalName === messageNames.haloTrigger)
    .map(({ input }) => Buffer.from(input?.payloads?.[0]?.data ?? []).toString());
  expect(signals.filter((text) => text.includes(event.id))).toHaveLength(1);
});
