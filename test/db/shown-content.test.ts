import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { visible, visibleLines } from '../../cli/escape.ts';
import { approvedContent } from '../../domain/approved-content.ts';
import { canonical, type JsonObject } from '../../domain/json.ts';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People, type TestDatabase } from '../support/database.ts';
import { aTask } from '../support/factories.ts';

let database: TestDatabase;
let people: People;
let keys: Record<keyof People, string>;
let api: TestApi;

beforeAll(async () => {
  database = await openTestDatabase();
  people = await createPeople(database);
  keys = await keysOf(database, people);
  api = createTestApi(database);
});

/** Looks like `rm harmless` in an editor that obeys the marks, and has a character that nobody sees. */
const hostile: JsonObject = { command: 'rm \u202esselmrah\u202c -rf\u200b /', mode: '0755' };

describe('TRUST 4.15: what is shown is exactly what is hashed', () => {
  test('the approval holds every byte of the content: its digest can be made from what is shown', async () => {
    const task = await aTask(database, people, { payload: hostile });
    const { body } = await api.call('GET', `/v1/approvals/${task.approvalId}`, { as: keys.operator });
    const { type, payload, target, executor } = body.summary;
    const content = approvedContent({
      ...{ kind: 'task', type, payload, target, binding: executor, risk: body.risk },
      policyVersion: body.policyVersion,
    });
    expect(payload).toEqual(hostile);
    expect(createHash('sha256').update(canonical(content)).digest('hex')).toBe(body.digest);
  });

  test('a list that leaves something out says so and where the whole is', async () => {
    const task = await aTask(database, people, { payload: { text: 'x'.repeat(10_000) } });
    const { body } = await api.call('GET', `/v1/approvals?target=${task.target}`, { as: keys.operator });
    const [item] = body.items;
    expect(item.summary.payload.omitted).toContain(`/v1/approvals/${task.approvalId}`);
    expect(item.touches.payload).toMatch(/… \(\d+ more characters\)$/);
  });

  test('characters that turn text around or that nobody sees are made visible on a terminal', () => {
    expect(visible(hostile.command)).toBe('rm \\u202esselmrah\\u202c -rf\\u200b /');
    expect(visible('a\u0000b\u001b[2Kc\ud800')).toBe('a\\u0000b\\u001b[2Kc\\ud800');
    expect(visibleLines('one\ntwo\u2066')).toBe('one\ntwo\\u2066');
  });
});
