import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { permissionTable } from '../api/permission-table.ts';
import { createTestApi, keysOf, type TestApi } from '../support/api.ts';
import { createPeople, openTestDatabase, type People } from '../support/database.ts';
import { aTask } from '../support/factories.ts';

let api: TestApi;
let keys: Record<keyof People, string>;
let ids: string[];

beforeAll(async () => {
  const database = await openTestDatabase();
  const people = await createPeople(database);
  keys = await keysOf(database, people);
  const task = await aTask(database, people);
  ids = [task.id, task.approvalId, people.operator, 'unknown'];
  api = createTestApi(database);
});

const operations = Object.keys(permissionTable)
  .map((name) => name.split(' ') as [string, string])
  .filter(([, path]) => path.startsWith('/v1/'));

/** Bodies that begin like good ones and go wrong somewhere. */
const member = fc.constantFrom(
  ...[
    'type',
    'title',
    'target',
    'targetRole',
    'payload',
    'source',
    'severity',
    'decision',
    'digest',
    'reason',
  ],
  ...[
    'name',
    'url',
    'headers',
    'assertions',
    'config',
    'executor',
    'role',
    'capabilities',
    'principalId',
    'label',
  ],
  ...[
    'mode',
    'attempt',
    'fraction',
    'message',
    'expectedVersion',
    'id',
    '__proto__',
    'constructor',
    'occurredAt',
  ],
  ...['rule', 'match', 'place', 'version', 'policyId', 'days', 'fingerprint', 'evidence'],
  ...['filter', 'ids', 'except', 'preview', 'selection', 'guidance'],
);
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    'approve',
    'Custom',
    'a.b',
    'https://a/',
    '2026-01-01T00:00:00Z',
    '9999-12-31T23:59:59Z',
    'human',
    'f'.repeat(64),
  ),
  fc.constantFrom<unknown>({ type: 'api', id: 'x' }, ['x'], 1, -1, 1e308, 2 ** 53, true, null),
  fc.constantFrom<unknown>({}, { stages: [{ approvals: 1 }] }, { target: 'a*' }),
);
const body = fc.oneof(
  { weight: 4, arbitrary: fc.dictionary(member, value, { maxKeys: 12 }) },
  { weight: 1, arbitrary: fc.array(fc.dictionary(member, value), { maxLength: 3 }) },
  { weight: 1, arbitrary: value },
);
const query = fc.dictionary(
  fc.constantFrom(
    'limit',
    'cursor',
    'after',
    'state',
    'type',
    'target',
    'from',
    'sourceId',
    'principalId',
    'kind',
    'sort',
    'mine',
    'olderThan',
    'text',
    'enabled',
  ),
  fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('1', 'open', 'now', 'start', 'e30', 'a.*'),
  ),
  { maxKeys: 3 },
);

test('no request whatever is answered with a 500', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...operations),
      body,
      query,
      fc.oneof(fc.nat({ max: 3 }), fc.string({ unit: 'binary', minLength: 1 })),
      fc.constantFrom('admin', 'operator', 'agent'),
      async ([method, template], said, asked, target, who) => {
        const id = typeof target === 'number' ? (ids[target] ?? '') : encode(target);
        const text = new URLSearchParams(Object.entries(asked)).toString();
        const path = `${template.replace('{id}', id).replace('{key}', 'halo')}${text === '' ? '' : `?${text}`}`;
        const answer = await api.call(method, path, {
          as: keys[who as keyof People],
          ...(method === 'GET' ? {} : { body: said ?? {} }),
        });
        expect(answer.status, `${method} ${path} ${JSON.stringify(said)}`).toBeLessThan(500);
        if (answer.status >= 400) expect(answer.body.code).toMatch(/^[A-Z_]+$/);
      },
    ),
    { numRuns: 1500 },
  );
});

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll('.', '%2E');
}
