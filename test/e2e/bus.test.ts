import { afterAll, beforeAll, expect, test } from 'vitest';
import { answer, type Receiver, startWebhookReceiver } from '../support/receivers.ts';
import { startTestStack, type TestStack } from '../support/stack.ts';

/* The bus as its users have it: everything over HTTP, handed over by the real worker to a real receiver. */

type Sent = { type: string; payload: { order: number }; replayOf?: string };

let stack: TestStack;
let receiver: Receiver;
let secret = '';
const key = 'orders';

beforeAll(async () => {
  stack = await startTestStack();
  receiver = await startWebhookReceiver(() => secret);
  const { status, body } = await stack.admin<{ signingSecret: string }>('POST', '/v1/subscriptions', {
    ...{ key, match: { types: ['shop.*'], filter: 'payload.order > 0' }, strategy: 'filtered' },
    handler: { kind: 'webhook', url: `${receiver.url}/hook`, allowPrivateNetwork: true },
    retry: { maxAttempts: 2, backoffMs: 100, maxBackoffMs: 200 },
  });
  expect(status, JSON.stringify(body)).toBe(201);
  secret = body.signingSecret;
});
afterAll(async () => receiver.close());

const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 60_000, interval: 100 });
const orders = () => receiver.received.map(({ body }) => (JSON.parse(body) as Sent).payload.order);

async function post(order: number, more: object = {}): Promise<string> {
  const { status, body } = await stack.operator<{ id: string }>('POST', '/v1/events', {
    ...{ type: 'shop.order.failed', source: { type: 'api', id: 'shop' }, severity: 'error' },
    ...{ payload: { order }, ...more },
  });
  expect(status, JSON.stringify(body)).toBe(202);
  return body.id;
}

async function must<T>(method: string, path: string, body?: object, as = stack.operator): Promise<T> {
  const said = await as<T>(method, path, body);
  expect(said.status, JSON.stringify(said.body)).toBeLessThan(300);
  return said.body;
}

test('an event reaches the webhook signed, one that the filter leaves out does not, and the envelope says both', async () => {
  const id = await post(1);
  const left = await post(-1);
  await eventually(orders).toEqual([1]);
  const envelopeOf = async (event: string) => {
    type Envelopes = { items: { subscription: string; processing: { state: string } }[] };
    const { items } = await must<Envelopes>('GET', `/v1/events/${event}/deliveries`);
    return items.find(({ subscription }) => subscription === key)?.processing.state;
  };
  await eventually(() => envelopeOf(id)).toBe('completed');
  expect(await envelopeOf(left)).toBeUndefined();
});

test('a paused subscription delivers nothing, and what came meanwhile after it is resumed', async () => {
  await must('POST', `/v1/subscriptions/${key}/pause`, { reason: 'their maintenance' });
  await post(2);
  type Lag = { state: string; backlog: { events: number } };
  await eventually(async () => (await must<Lag>('GET', `/v1/subscriptions/${key}`)).state).toBe('paused');
  expect(orders()).toEqual([1]);
  await must('POST', `/v1/subscriptions/${key}/resume`, {});
  await eventually(orders).toEqual([1, 2]);
});

test('what is refused for good is a dead letter; a redrive hands it over once its receiver is mended', async () => {
  receiver.next.push(answer(422), answer(422));
  const [bad, worse] = [await post(3), await post(4)];
  type Letters = { items: { id: string; eventId: string; cause: string; attempts: number }[] };
  const open = async () =>
    (await must<Letters>('GET', `/v1/dead-letters?subscription=${key}`)).items.map(({ eventId }) => eventId);
  await eventually(async () => (await open()).sort()).toEqual([bad, worse].sort());
  receiver.received.length = 0;
  const wanted = { filter: { subscription: key }, reason: 'the shop is mended', perMinute: 6_000 };
  const { selection } = await must<{ selection: string }>('POST', '/v1/dead-letters/redrive', {
    ...wanted,
    preview: true,
  });
  const { redrive } = await must<{ redrive: { id: string } }>('POST', '/v1/dead-letters/redrive', {
    ...wanted,
    selection,
  });
  await eventually(
    async () => (await must<{ state: string }>('GET', `/v1/redrives/${redrive.id}`)).state,
  ).toBe('done');
  expect(orders().sort()).toEqual([3, 4]);
  expect(await open()).toEqual([]);
});

test('a replay without side effects sends nothing and says what it would; with them it is marked', async () => {
  receiver.received.length = 0;
  const thread = 'order-5';
  const id = await post(5, { correlationId: thread });
  await eventually(orders).toEqual([5]);
  const replay = async (sideEffects: boolean) => {
    const body = { subscription: key, select: { correlationId: thread }, reason: 'a look', sideEffects };
    const made = await must<{ id: string }>('POST', '/v1/replays', body, stack.admin);
    type State = { state: string };
    await eventually(async () => (await must<State>('GET', `/v1/replays/${made.id}`)).state).toBe('done');
    type Deliveries = { items: { eventId: string; previews: { would: string }[] | null }[] };
    return (await must<Deliveries>('GET', `/v1/replays/${made.id}/deliveries`)).items;
  };
  const [shown] = await replay(false);
  expect(shown).toMatchObject({ eventId: id });
  expect(shown?.previews?.[0]?.would).toContain('POST');
  expect(orders()).toEqual([5]);
  await replay(true);
  await eventually(orders).toEqual([5, 5]);
  expect(JSON.parse(receiver.received[1]?.body ?? '{}')).toMatchObject({
    id,
    replayOf: expect.stringMatching(/^rpl_/),
  });
});

test('an event that is scheduled is recorded at once and handed over when its time has come', async () => {
  receiver.received.length = 0;
  const id = await post(6, { deliverAt: new Date(Date.now() + 2_500).toISOString() });
  type Envelopes = { items: { subscription: string; processing: { state: string } }[] };
  const stateOf = async () =>
    (await must<Envelopes>('GET', `/v1/events/${id}/deliveries`)).items.find(
      ({ subscription }) => subscription === key,
    )?.processing.state;
  await eventually(stateOf).toBe('pending');
  expect(orders()).toEqual([]);
  await eventually(orders).toEqual([6]);
  await eventually(stateOf).toBe('completed');
});

test('a wormhole that is switched on proposes one task for many failures, with its evidence', async () => {
  const draft = {
    name: 'shop-loud',
    match: { types: ['shop.order.failed'], minSeverity: 'error' },
    action: {
      kind: 'create-task',
      task: {
        type: 'repair.shop',
        title: 'Look at the shop',
        target: 'shop:{{source.id}}',
        targetRole: 'DeployKeeper',
      },
    },
  };
  const { wormhole } = await must<{ wormhole: { id: string } }>('POST', '/v1/wormholes', draft, stack.admin);
  await must('POST', '/v1/wormholes/back-test', { id: wormhole.id, last: 100 }, stack.admin);
  await must('POST', `/v1/wormholes/${wormhole.id}/enable`, {}, stack.admin);
  for (let at = 0; at < 20; at += 1) await post(100 + at);
  type Tasks = { items: { id: string; type: string; state: string; evidence: unknown[] }[] };
  const proposed = async () =>
    (await must<Tasks>('GET', '/v1/tasks?limit=100')).items.filter(({ type }) => type === 'repair.shop');
  await eventually(async () => (await proposed()).length).toBe(1);
  type Results = { items: { outcome: string }[] };
  await eventually(
    async () => (await must<Results>('GET', `/v1/wormholes/${wormhole.id}/results?limit=100`)).items.length,
  ).toBe(20);
  expect(await proposed()).toMatchObject([{ state: 'pending-approval' }]);
});
