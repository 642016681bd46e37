import type {
  Agent,
  Approval,
  Cycle,
  LoggedEvent,
  NewAgent,
  Page,
  Probe,
  ProbeRun,
  Seen,
  TaskAnswer,
} from './answers.ts';
import type { Stage } from './stage.ts';
import type { Play } from './steps.ts';
import { must } from './watch.ts';

export type Actors = { probe: Probe; agentId: string; agentKey: string; healthUrl: string };

const taskQueue = 'agent-shopkeeper';

/** A service with a probe that watches it and an agent that can repair it. */
export async function setTheScene(stage: Stage, play: Play): Promise<Actors> {
  const { admin, shop, until } = stage;
  const healthUrl = `${shop.url}/health`;
  return play('a real HTTP service is probed, and has an agent', async () => {
    await shop.start();
    const probe = await admin.post<Probe>('/v1/probes', {
      name: 'shop health',
      url: healthUrl,
      assertions: { bodyIncludes: '"ok":true' },
      intervalSeconds: 5,
      allowPrivateNetwork: true,
    });
    const ran = await admin.post<ProbeRun>(`/v1/probes/${probe.id}/run`);
    must(ran.ok === true, `the first probe of the shop passes (${ran.failures.join(', ')})`);
    if (stage.stack.urls.temporalUi !== null)
      must((await fetch(ran.temporal.url)).ok, 'the Web UI answers at the link to its run');

    const { agent, key } = await admin.post<NewAgent>('/v1/agents', {
      name: 'shopkeeper',
      role: 'DeployKeeper',
      capabilities: ['repair.api.endpoint'],
      executor: 'temporal',
      config: { taskQueue, heartbeatTimeoutMs: 10_000 },
    });
    await stage.startAgent({ id: agent.id, key, taskQueue });
    await until('the agent is online', async () => {
      const { state } = await admin.get<Agent>(`/v1/agents/${agent.id}`);
      return state === 'online' || null;
    });
    return { probe, agentId: agent.id, agentKey: key, healthUrl, run: ran.temporal.url };
  });
}

export async function breakTheShop(stage: Stage, { healthUrl }: Actors): Promise<void> {
  await fetch(`${stage.shop.url}/break`, { method: 'POST' });
  const { status } = await fetch(healthUrl);
  must(status === 503, `the broken shop answers 503, and not ${status}`);
}

/** From the break to a task in the inbox, with nobody's help. */
export async function findTheTrouble(stage: Stage, play: Play, actors: Actors): Promise<Seen<Approval>> {
  const { admin, operator, until, temporal } = stage;
  const { probe, agentId } = actors;

  await play('the service breaks: it answers 503 from now on', async () => {
    await breakTheShop(stage, actors);
    return { run: null };
  });

  const { event } = await play('its scheduled probe finds that: api.endpoint.failed', async () => {
    const found = await until('api.endpoint.failed is in the log', async () => {
      const query = `type=api.endpoint.failed&sourceId=${probe.id}`;
      const { items } = await admin.get<Page<LoggedEvent>>(`/v1/events?${query}`);
      return items.at(-1) ?? null;
    });
    must(found.payload.status === 503, 'the event says which status was seen');
    const scheduleId = probe.scheduleId ?? '';
    const { run } = await until('the run of the schedule that emitted it is known', () =>
      temporal.findScheduledRun(scheduleId, found.id),
    );
    return { event: found, run };
  });

  const { cycle } = await play('that event wakes HALO, which finds the weak point', async () => {
    const done = await until('a cycle triggered by that event is completed', async () => {
      const { items } = await admin.get<Page<Cycle>>('/v1/halo/cycles');
      const own = items.find(({ trigger }) => trigger.eventIds.includes(event.id));
      must(own?.state !== 'failed', 'the cycle does not fail');
      return own?.state === 'completed' ? own : null;
    });
    must(done.trigger.event > 0 && done.trigger.manual === 0, 'nobody asked for the cycle but the event');
    const weakPoint = `endpoint-health:${probe.id}`;
    must(
      done.weakPoints.some(({ id }) => id === weakPoint),
      `the cycle names the weak point ${weakPoint}`,
    );
    return { cycle: done, run: done.temporal.url };
  });

  return play('the task it proposes waits in the inbox', async () => {
    const taskId = cycle.taskIds[0];
    must(taskId !== undefined, 'the cycle proposes a task');
    const { items } = await operator.get<Page<Approval>>('/v1/approvals');
    const approval = items.find((item) => item.taskId === taskId);
    must(approval !== undefined, 'the inbox of the operator shows it');
    must(approval.allowedActions.includes('approve'), 'the operator may approve it');
    const { task } = await operator.get<TaskAnswer>(`/v1/tasks/${taskId}`);
    must(task.state === 'pending-approval', `it waits for approval, and is not ${task.state}`);
    must(task.origin === 'halo' && task.type === 'repair.api.endpoint', 'it is a repair that HALO proposes');
    must(task.agentId === agentId, 'it is meant for the agent');
    must(task.evidence.includes(event.id), 'its evidence is the event');
    return { ...approval, run: task.temporal.url };
  });
}
