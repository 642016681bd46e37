import { once } from 'node:events';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiProcess, startApiProcess } from '../support/api-process.ts';
import { openTestDatabase, type TestDatabase } from '../support/database.ts';
import { sendRaw } from '../support/raw-http.ts';

let database: TestDatabase;
let api: ApiProcess;
let base: string;
let key: string;

beforeAll(async () => {
  database = await openTestDatabase();
  api = await startApiProcess(database);
  base = api.url();
  key = api.adminKey;
  await database.root`update principals set tier = 'unmetered'`;
});
afterAll(() => api.stop());

const json = 'application/json';
const lines = 'application/x-ndjson';
const event = { type: 'hostile.try', source: { type: 'api', id: 'x' } };
const withPayload = (payload: string): string =>
  `{"type":"hostile.try","source":{"type":"api","id":"x"},"payload":${payload}}`;
const good = JSON.stringify(event);
const nested = (depth: number, open: string, close: string): string =>
  `${open.repeat(depth)}1${close.repeat(depth)}`;
const manyKeys = JSON.stringify(
  Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`k${at}`, at])),
);
const bytes = (...parts: (string | number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));

async function post(body: string | Buffer, type = json, headers: Record<string, string> = {}) {
  const response = await fetch(`${base}/v1/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': type, ...headers },
    body,
  });
  const text = await response.text();
  return {
    status: response.status,
    body: JSON.parse(text) as { code: string; detail: string; details: { line?: number } },
  };
}

async function stored(): Promise<number> {
  // Shield tells of refusals in the log.
  const [row] = await database.root<{ n: number }[]>`
    select count(*)::int as n from event_keys k
    where not exists (select from events e where e.id = k.id and e.type like 'security.%')`;
  return row?.n ?? 0;
}

const hostile: [string, string | Buffer, string, number, string][] = [
  ['no type', '{"source":{"type":"api","id":"x"}}', json, 400, 'INVALID'],
  ['a type that is none', good.replace('hostile.try', 'Hostile Try'), json, 400, 'INVALID'],
  ['a source that is none', good.replace('"api"', '"nobody"'), json, 400, 'INVALID'],
  ['a payload that is a list', withPayload('[1]'), json, 400, 'INVALID'],
  ['a member that nobody asked for', good.replace('{', '{"path":["x"],'), json, 400, 'INVALID'],
  ['metadata of the system', good.replace('{', '{"metadata":{"schemaWarning":1},'), json, 400, 'INVALID'],
  ['a type of the system', good.replace('hostile.try', 'squad.task.failed'), json, 403, 'FORBIDDEN'],
  ['2 MB in one text', withPayload(`{"t":"${'x'.repeat(2 * 1024 * 1024)}"}`), json, 413, 'PAYLOAD_TOO_LARGE'],
  ['5 MB', withPayload(`{"t":"${'x'.repeat(5 * 1024 * 1024)}"}`), json, 413, 'PAYLOAD_TOO_LARGE'],
  ['lists 10,000 deep', withPayload(`{"t":${nested(10_000, '[', ']')}}`), json, 400, 'INVALID'],
  ['objects 10,000 deep', withPayload(nested(10_000, '{"a":', '}')), json, 400, 'INVALID'],
  ['lists 1,000,000 deep that never end', '['.repeat(1_000_000), json, 400, 'INVALID'],
  ['a NUL in a text', withPayload('{"a":"x\\u0000y"}'), json, 400, 'INVALID'],
  ['a NUL in a name', withPayload('{"x\\u0000":1}'), json, 400, 'INVALID'],
  ['a bare NUL', bytes(withPayload('{"a":"x').slice(0, -1), [0], 'y"}}'), json, 400, 'INVALID'],
  ['half a surrogate pair', withPayload('{"a":"\\ud800"}'), json, 400, 'INVALID'],
  ['the other half, in a name', withPayload('{"\\udc00":1}'), json, 400, 'INVALID'],
  ['half a surrogate pair in a source', good.replace('"x"', '"\\ud800"'), json, 400, 'INVALID'],
  ['__proto__ in a payload', withPayload('{"__proto__":{"isAdmin":true}}'), json, 400, 'INVALID'],
  ['__proto__ in disguise', withPayload('{"\\u005f_proto__":{"isAdmin":true}}'), json, 400, 'INVALID'],
  ['__proto__ of the event', good.replace('{', '{"__proto__":{},'), json, 400, 'INVALID'],
  ['a member twice', good.replace('{', '{"type":"hostile.other",'), json, 400, 'INVALID'],
  ['a member twice, deep inside', withPayload('{"a":[{"b":{"c":1,"d":2,"c":3}}]}'), json, 400, 'INVALID'],
  ['a member twice, once in disguise', withPayload('{"a":1,"\\u0061":2}'), json, 400, 'INVALID'],
  ['invalid UTF-8', bytes(withPayload('{"a":"').slice(0, -1), [0xc3, 0x28], '"}}'), json, 400, 'INVALID'],
  [
    'an overlong UTF-8 slash',
    bytes(withPayload('{"a":"').slice(0, -1), [0xc0, 0xaf], '"}}'),
    json,
    400,
    'INVALID',
  ],
  ['UTF-16', Buffer.from(good, 'utf16le'), json, 400, 'INVALID'],
  ['a number beyond all numbers', withPayload('{"n":1e999}'), json, 400, 'INVALID'],
  ['a number of 400 digits', withPayload(`{"n":${'9'.repeat(400)}}`), json, 400, 'INVALID'],
  [
    'a number whose last digits would be lost',
    withPayload('{"n":12345678901234567890}'),
    json,
    400,
    'INVALID',
  ],
  ['10,000 members', withPayload(manyKeys), json, 400, 'INVALID'],
  [
    'a date beyond the database',
    good.replace('{', '{"occurredAt":"0000-01-01T00:00:00Z",'),
    json,
    400,
    'INVALID',
  ],
  [
    'a delivery in ten years',
    good.replace('{', '{"deliverAt":"2099-01-01T00:00:00Z",'),
    json,
    400,
    'INVALID',
  ],
  ['nothing', '', json, 400, 'INVALID'],
  ['null', 'null', json, 400, 'INVALID'],
  ['an empty list', '[]', json, 400, 'INVALID'],
  ['a list in a list', `[[${good}]]`, json, 400, 'INVALID'],
  ['1,001 events', `[${Array(1001).fill(good).join(',')}]`, json, 400, 'INVALID'],
  ['a bad event among good ones', `[${good},${good.replace('api', 'nobody')},${good}]`, json, 400, 'INVALID'],
  ['two events without a list', `${good}\n${good}`, json, 400, 'INVALID'],
  ['a form', 'a=b', 'application/x-www-form-urlencoded', 415, 'UNSUPPORTED_MEDIA_TYPE'],
  ['no line', '\n\n', lines, 400, 'INVALID'],
  ['1,001 lines', `${good}\n`.repeat(1001), lines, 400, 'INVALID'],
];

describe('a hostile event', () => {
  test.each(hostile)(
    'with %s is refused with a code, and nothing is stored',
    async (_what, body, type, status, code) => {
      const before = await stored();
      expect(await post(body, type)).toMatchObject({ status, body: { code } });
      expect(await stored()).toBe(before);
    },
  );

  test.each([
    ['no JSON', '{"type":', 'INVALID', 400],
    ['a wrong schema', JSON.stringify({ ...event, severity: 'loud' }), 'INVALID', 400],
    ['a member twice', withPayload('{"a":1,"a":1}'), 'INVALID', 400],
    ['a list of events', `[${good}]`, 'INVALID', 400],
    ['a type of the system', good.replace('hostile.try', 'halo.cycle.failed'), 'FORBIDDEN', 403],
    ['too large a payload', withPayload(`{"t":"${'x'.repeat(300_000)}"}`), 'PAYLOAD_TOO_LARGE', 413],
  ])(
    'with %s in line 4 of 6 is named by its line, and no line is stored',
    async (_what, bad, code, status) => {
      const before = await stored();
      // Line 2 is empty: lines are counted as an editor counts them.
      const answer = await post([good, '', good, bad, good, good].join('\r\n'), lines);
      expect(answer).toMatchObject({ status, body: { code, details: { line: 4 } } });
      expect(answer.body.detail).toMatch(/line 4/i);
      expect(await stored()).toBe(before);
    },
  );
});

const apiPort = (): number => Number(new URL(base).port);

const head = (...more: string[]): string =>
  [
    `POST /v1/events HTTP/1.1`,
    'Host: x',
    `Authorization: Bearer ${key}`,
    `Content-Type: ${json}`,
    ...more,
    '',
    '',
  ].join('\r\n');
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const statusOf = (text: string): string => /^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? '';

describe('a hostile length', () => {
  test('that is shorter than the body stores no cut event', async () => {
    const before = await stored();
    const text = await sendRaw(
      apiPort(),
      [head('Content-Length: 20', 'Connection: close'), good],
      () => false,
    );
    expect(statusOf(text)).toBe('400');
    expect(await stored()).toBe(before);
  });

  test('that is longer than the body stores nothing when the sender goes away', async () => {
    const before = await stored();
    const socket = net.connect(apiPort(), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(head('Content-Length: 9000') + good);
    await once(socket, 'connect');
    socket.destroy();
    await once(socket, 'close');
    expect((await post(good)).status).toBe(202);
    expect(await stored()).toBe(before + 1);
  });

  test('beside chunks, or twice, is refused before it is read', async () => {
    const before = await stored();
    for (const headers of [
      ['Content-Length: 5', 'Transfer-Encoding: chunked'],
      ['Content-Length: 5', 'Content-Length: 900'],
    ]) {
      const text = await sendRaw(apiPort(), [head(...headers), chunk(good), '0\r\n\r\n'], (said) =>
        said.includes('\r\n\r\n'),
      );
      expect(statusOf(text)).toBe('400');
    }
    expect(await stored()).toBe(before);
  });

  test('of chunks without an end is cut off at the limit', async () => {
    const before = await stored();
    const large = `"${'x'.repeat(1024 * 1024)}`;
    const parts = [head('Transfer-Encoding: chunked'), ...Array.from({ length: 6 }, () => chunk(large))];
    const text = await sendRaw(apiPort(), parts, (said) => said.includes('PAYLOAD_TOO_LARGE'));
    expect(statusOf(text)).toBe('413');
    expect(await stored()).toBe(before);
  });
});

test('after all that a good event is stored and read, in chunks of any size and by the line', async () => {
  const parts = [...good].map((char) => chunk(char));
  const text = await sendRaw(
    apiPort(),
    [head('Transfer-Encoding: chunked', 'Connection: close'), ...parts, '0\r\n\r\n'],
    () => false,
  );
  expect(statusOf(text)).toBe('202');
  const { id } = JSON.parse(/\{.*\}/.exec(text)?.[0] ?? '{}') as { id: string };
  const read = await fetch(`${base}/v1/events/${id}`, { headers: { authorization: `Bearer ${key}` } });
  expect(await read.json()).toMatchObject({ id, type: 'hostile.try', path: [], deliverAt: null });
  expect((await post(`${good}\n${good}\n`, lines)).status).toBe(202);
});
