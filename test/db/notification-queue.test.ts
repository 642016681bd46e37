import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createChannel, editChannel, getChannel, setChannelEnabled } from '../../db/channels.ts';
import { newId } from '../../db/ids.ts';
import { queueNotifications, readNoticeFacts } from '../../db/notification-queue.ts';
import { recordFailed, recordSent } from '../../db/notification-end.ts';
import {
  beginDelivery,
  deleteEndedNotifications,
  listNotifications,
  listStrandedNotifications,
  listUnstartedNotifications,
  type NotificationRow,
} from '../../db/notifications.ts';
import { eventTypes } from '../../domain/events.ts';
import { type Notice, noticeOf } from '../../domain/notification.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aLoggedEvent } from '../support/events.ts';
import { aTask } from '../support/factories.ts';

let database: TestDatabase;
let people: People;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
});
beforeEach(async () => {
  await database.root`update channels set enabled = false`;
});

type Given = Partial<Parameters<typeof createChannel>[1]>;

async function aChannel(given: Given = {}): Promise<string> {
  const id = newId('chn');
  await createChannel(database.db, {
    id,
    name: id,
    kind: 'webhook',
    config: { origin: 'https://hooks.test', allowPrivateNetwork: false },
    sealed: null,
    topics: ['squad.task.failed', 'kill-switch.*'],
    minSeverity: 'info',
    cooldownMs: 60_000,
    actor: people.admin,
    opKey: newId('op'),
    ...given,
  });
  return id;
}

function aNotice(given: Partial<Notice> = {}): Notice {
  return {
    eventId: newId('evt'),
    topic: 'squad.task.failed',
    severity: 'error',
    dedupeKey: 'k',
    title: 'Task failed',
    text: 'It failed.',
    fields: [{ name: 'Target', value: 'shop' }],
    link: null,
    everyone: false,
    aboutChannel: null,
    ...given,
  };
}

const queue = (...notices: Notice[]) => queueNotifications(database.log, notices);
const of = (channelId: string): Promise<NotificationRow[]> =>
  listNotifications(database.db, { channelId }, null, 100);
const statesOf = async (channelId: string) => (await of(channelId)).map(({ state }) => state).sort();
/** Moves the record of a channel into the past, as if the cooldown were over. */
const passMinutes = (channelId: string, minutes: number) =>
  database.root`
    update notifications set created_at = created_at - make_interval(mins => ${minutes}),
                             ended_at = ended_at - make_interval(mins => ${minutes})
    where channel_id = ${channelId}`;

async function send(channelId: string): Promise<void> {
  const [row] = (await of(channelId)).filter(({ state }) => state === 'queued');
  const delivery = await beginDelivery(database.db, { notificationId: row?.id ?? '', runId: 'run' });
  if (delivery === null) throw new Error('nothing to send');
  await recordSent(database.db, { ...delivery, status: '200', messageId: null });
}

describe('which channels are told', () => {
  test('those that are switched on and name the topic or its beginning', async () => {
    const exact = await aChannel();
    const prefix = await aChannel({ topics: ['squad.*'] });
    const other = await aChannel({ topics: ['squad.task'] });
    const off = await aChannel();
    await setChannelEnabled(database.db, { id: off, enabled: false, actor: 'x', opKey: newId('op') });
    const queued = await queue(aNotice());
    expect(queued.map(({ channelId }) => channelId).sort()).toEqual([exact, prefix].sort());
    expect(await of(other)).toEqual([]);
    expect(await of(off)).toEqual([]);
  });

  test.each([
    ['info', 'info', true],
    ['error', 'warning', false],
    ['error', 'error', true],
    ['critical', 'error', false],
    ['warning', 'critical', true],
  ] as const)('from %s on, of an event of severity %s: %s', async (minSeverity, severity, isTold) => {
    const channel = await aChannel({ minSeverity });
    await queue(aNotice({ severity }));
    expect((await of(channel)).length).toBe(isTold ? 1 : 0);
  });

  test('all of them, of what is for everyone: whatever the topics, the severity and the cooldown', async () => {
    const channel = await aChannel({ topics: [], minSeverity: 'critical' });
    const urgent = { topic: eventTypes.killSwitchEngaged, severity: 'info', everyone: true } as const;
    await queue(aNotice(urgent), aNotice(urgent));
    await queue(aNotice(urgent));
    expect(await statesOf(channel)).toEqual(['queued', 'queued', 'queued']);
  });

  test('not the one whose own failure it is', async () => {
    const failing = await aChannel({ topics: [eventTypes.integrationFailed] });
    const other = await aChannel({ topics: [eventTypes.integrationFailed] });
    await queue(aNotice({ topic: eventTypes.integrationFailed, aboutChannel: failing }));
    expect(await of(failing)).toEqual([]);
    expect(await of(other)).toHaveLength(1);
  });
});

describe('an event', () => {
  test('delivered twice, also at once, makes one notification a channel', async () => {
    const channel = await aChannel();
    const notice = aNotice();
    await Promise.all([queue(notice), queue(notice), queue(notice)]);
    expect(await queue(notice)).toEqual([]);
    expect(await of(channel)).toHaveLength(1);
  });

  test('is one of a batch of five hundred, which reaches every channel at once', async () => {
    const channel = await aChannel({ cooldownMs: 0 });
    const second = await aChannel({ cooldownMs: 0 });
    const notices = Array.from({ length: 500 }, (_none, at) => aNotice({ dedupeKey: String(at) }));
    expect(await queue(...notices)).toHaveLength(1000);
    for (const id of [channel, second])
      expect(
        await database.root`select count(*)::int as n from notifications where channel_id = ${id}`,
      ).toEqual([{ n: 500 }]);
  });
});

test('no text can stop the subscription: what cannot be stored is made storable', async () => {
  const channel = await aChannel({ topics: ['squad.*'], cooldownMs: 0 });
  const nothing = { subjects: new Map(), names: new Map() };
  for (let pad = 0; pad < 8; pad += 1) {
    const target = `${'x'.repeat(pad)}${'🙂'.repeat(400)}`;
    const payload = { target, title: `${target}\u0001`, taskId: 'tsk_\u202e', reason: { deep: [null] } };
    const notice = noticeOf(
      aLoggedEvent({ type: 'squad.task.failed', sourceType: 'squad', severity: 'error', payload }),
      nothing,
      'http://x',
    );
    expect(await queue(notice as Notice)).toHaveLength(1);
  }
  const [row] = await of(channel);
  await recordFailed(database.db, { notificationId: row?.id ?? '', reason: `500 \0 ${'🙂'.repeat(400)}` });
  expect((await of(channel)).find(({ id }) => id === row?.id)).toMatchObject({ state: 'failed' });
});

describe('the cooldown', () => {
  test('lets one of a key out, holds the others back, and the next one tells how many they were', async () => {
    const channel = await aChannel();
    await queue(aNotice(), aNotice(), aNotice({ dedupeKey: 'other' }));
    await queue(aNotice(), aNotice());
    expect(await statesOf(channel)).toEqual(['queued', 'queued', 'suppressed', 'suppressed', 'suppressed']);
    const held = (await of(channel)).filter(({ state }) => state === 'suppressed');
    const first = (await of(channel)).find(({ state, dedupeKey }) => state === 'queued' && dedupeKey === 'k');
    for (const row of held)
      expect(row).toMatchObject({
        suppressedBecause: 'cooldown',
        foldedInto: first?.id,
        endedAt: expect.any(Date),
      });
    await send(channel);
    await passMinutes(channel, 2);
    const [next] = await queue(aNotice());
    const after = (await of(channel)).find(({ id }) => id === next?.id);
    expect(after).toMatchObject({ state: 'queued', more: 3 });
    await passMinutes(channel, 2);
    await queue(aNotice());
    expect((await of(channel))[0]).toMatchObject({ state: 'queued', more: 0 });
  });

  test('is of one channel and one key', async () => {
    const one = await aChannel();
    await queue(aNotice());
    const two = await aChannel();
    await queue(aNotice());
    expect(await statesOf(one)).toEqual(['queued', 'suppressed']);
    expect(await statesOf(two)).toEqual(['queued']);
  });

  test('does not count from one that failed: nobody has read that', async () => {
    const channel = await aChannel();
    const [first] = await queue(aNotice(), aNotice());
    await recordFailed(database.db, { notificationId: first?.id ?? '', reason: 'down' });
    await queue(aNotice());
    const rows = await of(channel);
    expect(rows.map(({ state }) => state).sort()).toEqual(['failed', 'queued', 'suppressed']);
    expect(rows.find(({ state }) => state === 'queued')).toMatchObject({ more: 1 });
  });

  test('of zero holds nothing back', async () => {
    const channel = await aChannel({ cooldownMs: 0 });
    await queue(aNotice(), aNotice());
    expect(await statesOf(channel)).toEqual(['queued', 'queued']);
  });
});

async function entries(subjectId: string) {
  return database.root<{ action: string; body: string }[]>`
    select action, body from audit_entries where subject_id = ${subjectId} order by chain_no`;
}
const eventsAbout = (field: string, id: string) => database.root<{ type: string; payload: object }[]>`
  select type, payload from events where payload->>${field} = ${id} order by seq`;

describe('the end of a notification', () => {
  test('sent: receipt, event and audit, once', async () => {
    const channel = await aChannel();
    const [queued] = await queue(aNotice());
    const id = queued?.id ?? '';
    const delivery = await beginDelivery(database.db, { notificationId: id, runId: 'run_1' });
    if (delivery === null) throw new Error('not claimed');
    await Promise.all(
      [1, 2].map(() => recordSent(database.db, { ...delivery, status: '204', messageId: '7' })),
    );
    const [row] = await of(channel);
    expect(row).toMatchObject({
      state: 'sent',
      attempts: 1,
      runId: 'run_1',
      receipt: { status: '204', messageId: '7' },
    });
    expect((await eventsAbout('notificationId', id)).map(({ type }) => type)).toEqual(['notification.sent']);
    expect((await entries(id)).map(({ action }) => action)).toEqual(['notification.send']);
    expect((await getChannel(database.db, channel))?.lastSentAt).toBeInstanceOf(Date);
    expect(await beginDelivery(database.db, { notificationId: id, runId: 'run_2' })).toBeNull();
    await recordFailed(database.db, { notificationId: id, reason: 'late' });
    expect((await of(channel))[0]).toMatchObject({ state: 'sent', error: null });
  });

  test('failed: an outage is one event, until something is sent again', async () => {
    const channel = await aChannel({ cooldownMs: 0 });
    const fail = async () => {
      const [queued] = await queue(aNotice());
      await recordFailed(database.db, { notificationId: queued?.id ?? '', reason: 'It answered 500.' });
    };
    const outages = async () =>
      (await eventsAbout('channelId', channel)).filter(({ type }) => type === 'integration.failed');
    await fail();
    await fail();
    expect(await outages()).toMatchObject([{ payload: { reason: 'It answered 500.', name: channel } }]);
    await queue(aNotice());
    await send(channel);
    await fail();
    await fail();
    expect(await outages()).toHaveLength(2);
    expect(
      (await eventsAbout('channelId', channel)).filter(({ type }) => type === 'notification.failed'),
    ).toHaveLength(4);
  });

  test('failed while telling of another outage: no outage is reported, or two channels would do so for ever', async () => {
    const channel = await aChannel({ topics: [eventTypes.integrationFailed] });
    const [queued] = await queue(aNotice({ topic: eventTypes.integrationFailed }));
    await recordFailed(database.db, { notificationId: queued?.id ?? '', reason: 'down' });
    expect((await eventsAbout('channelId', channel)).map(({ type }) => type)).not.toContain(
      'integration.failed',
    );
  });
});

describe('what the relay looks for', () => {
  test('queued ones whose run never started, and those whose run is long over', async () => {
    await database.root`update notifications set state = 'failed', ended_at = now() where state = 'queued'`;
    const channel = await aChannel();
    const [queued] = await queue(aNotice());
    const id = queued?.id ?? '';
    expect(await listUnstartedNotifications(database.db, 60_000, 10)).toEqual([]);
    await passMinutes(channel, 2);
    expect(await listUnstartedNotifications(database.db, 60_000, 10)).toMatchObject([
      { id, channelId: channel },
    ]);
    await beginDelivery(database.db, { notificationId: id, runId: 'run' });
    expect(await listUnstartedNotifications(database.db, 60_000, 10)).toEqual([]);
    expect(await listStrandedNotifications(database.db, 3_600_000, 10)).toEqual([]);
    await passMinutes(channel, 120);
    expect(await listStrandedNotifications(database.db, 3_600_000, 10)).toEqual([id]);
  });

  test('ended ones older than thirty days, and no others', async () => {
    const channel = await aChannel();
    await queue(aNotice(), aNotice());
    await send(channel);
    await queue(aNotice({ dedupeKey: 'open' }));
    await passMinutes(channel, 60 * 24 * 29);
    await deleteEndedNotifications(database.log, 30, 100);
    expect(await of(channel)).toHaveLength(3);
    await passMinutes(channel, 60 * 24 * 2);
    await deleteEndedNotifications(database.log, 30, 100);
    expect(await statesOf(channel)).toEqual(['queued']);
  });
});

describe('a channel', () => {
  test('is made once, and a taken name changes nothing', async () => {
    const id = await aChannel();
    const again = await createChannel(database.db, {
      id: newId('chn'),
      name: id,
      kind: 'webhook',
      config: { origin: 'https://x', allowPrivateNetwork: false },
      sealed: 'box1.x.y',
      topics: [],
      minSeverity: 'info',
      cooldownMs: 0,
      actor: people.admin,
      opKey: newId('op'),
    });
    expect(again).toEqual({ status: 'unchanged' });
  });

  test('changed by two people at once keeps the first change and refuses the second', async () => {
    const id = await aChannel();
    const seen = (await getChannel(database.db, id))?.updatedAt ?? new Date();
    const edit = (cooldownMs: number) =>
      editChannel(database.db, { id, seen, edit: { cooldownMs }, actor: people.admin, opKey: newId('op') });
    const outcomes = await Promise.all([edit(1), edit(2)]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['changed', 'unchanged']);
  });
});

test('the facts of a notice come from the task or the approval that the event names', async () => {
  const task = await aTask(database, people, { title: 'Repair it', target: 'probe:x' });
  const facts = await readNoticeFacts(database, {
    subjectIds: [task.id, task.approvalId, 'tsk_none'],
    personIds: [people.operator, 'nobody'],
  });
  for (const id of [task.id, task.approvalId])
    expect(facts.subjects.get(id)).toMatchObject({ title: 'Repair it', target: 'probe:x', taskId: task.id });
  expect([...facts.names.keys()]).toEqual([people.operator]);
  expect((await readNoticeFacts(database, { subjectIds: [], personIds: [] })).subjects.size).toBe(0);
});
