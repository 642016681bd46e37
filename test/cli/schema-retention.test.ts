import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FakeApi, problem, run, startFakeApi } from './fake-api.ts';

let api: FakeApi;
const folder = mkdtempSync(join(tmpdir(), 'dreamnet-cli-ingest-'));
beforeAll(async () => {
  api = await startFakeApi();
});
beforeEach(() => void api.asked.splice(0));
afterAll(async () => {
  await api.close();
  rmSync(folder, { recursive: true, force: true });
});

const at = '2026-01-01T00:00:00.000Z';
const version = (more: object = {}) => ({
  ...{ type: 'shop.order', version: 2, description: 'orders', mode: 'enforce', enabled: true },
  ...{ owner: 'prn_admin', createdAt: at, updatedAt: at, schema: { type: 'object' } },
  ...more,
});
const call = (args: string[], input = '') => run([...args, '--url', api.url], {}, input);

describe('event send --lines', () => {
  const accept = (of: (lines: string[]) => object[]) =>
    api.on('POST /v1/events', ({ body }) => ({
      status: 202,
      body: { accepted: of((body?.lines ?? []) as string[]) },
    }));

  test('sends a file in batches of a thousand and counts what the log had already', async () => {
    accept((lines) =>
      lines.map((line) => ({
        id: line,
        duplicate: line.includes('"n":7,'),
        ...(line.includes('"n":7,') ? { differs: true } : {}),
      })),
    );
    const file = join(folder, 'many.ndjson');
    writeFileSync(file, Array.from({ length: 2500 }, (_, n) => `{"n":${n},"x":1}`).join('\n'));
    const ended = await call(['event', 'send', '--lines', file]);
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stdout).toContain('2500 events, 1 of which');
    expect(ended.stderr).toContain('another content');
    expect(api.asked.map(({ body }) => (body?.lines as string[]).length)).toEqual([1000, 1000, 500]);
  });

  test('reads stdin, and with --json prints one object and nothing else', async () => {
    accept((lines) => lines.map((id) => ({ id, duplicate: false })));
    const ended = await call(['event', 'send', '--lines', '-', '--json'], '{"a":1}\n{"a":2}\n');
    expect(ended).toEqual({
      code: 0,
      stdout: '{"accepted":2,"duplicates":0,"differing":0}\n',
      stderr: '',
    });
  });

  test('a line ends at \\n or \\r\\n and nowhere else, wherever a read of the file ends', async () => {
    accept((lines) => lines.map((id) => ({ id, duplicate: false })));
    const texts = ['one', 'two\u2028and a half', 'x'.repeat(200_000), 'ü'.repeat(40_000), 'last'];
    const lines = texts.map((text) => JSON.stringify({ text }));
    const file = join(folder, 'ends.ndjson');
    writeFileSync(file, `${lines.slice(0, -1).join('\r\n')}\n${lines.at(-1)}`);
    expect(await call(['event', 'send', '--lines', file])).toMatchObject({ code: 0 });
    expect(api.asked.map(({ body }) => body?.lines)).toEqual([lines]);
  });

  test('a long file needs no more memory than a short one', async () => {
    accept(() => []);
    const file = join(folder, 'long.ndjson');
    writeFileSync(file, '{"a":1}\n'.repeat(300_000));
    const small = { NODE_OPTIONS: '--max-old-space-size=64' };
    const ended = await run(['event', 'send', '--lines', file, '--url', api.url], small);
    expect(ended).toMatchObject({ code: 0 });
    expect(api.asked).toHaveLength(300);
  });

  test('names the line of the file, and says what is stored before it', async () => {
    let batches = 0;
    api.on('POST /v1/events', ({ body }) => {
      batches += 1;
      const lines = (body?.lines ?? []) as string[];
      if (batches === 1)
        return { status: 202, body: { accepted: lines.map((id) => ({ id, duplicate: false })) } };
      const refused = problem(400, 'INVALID', 'line 3, source: missing');
      return { ...refused, body: { ...(refused.body as object), details: { line: 3 } } };
    });
    const ended = await call(['event', 'send', '--lines', '-'], '{"a":1}\n'.repeat(1005));
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('line 1003, source: missing');
    expect(ended.stderr).toContain('1000 events before it are stored');
  });

  test.each([
    [['event', 'send', '--lines', '/nowhere/x'], /cannot be read \(ENOENT\)/],
    [['event', 'send', 'a.b', '--lines', '-'], /nothing else goes with it/],
    [['event', 'send'], /type of the event is missing/],
  ])('%j is a mistake in the command', async (args, message) => {
    const ended = await call(args);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toMatch(message);
    expect(api.asked).toEqual([]);
  });
});

test('an event can be sent for later', async () => {
  api.on('POST /v1/events', () => ({ status: 202, body: { id: 'evt_1', duplicate: true, differs: true } }));
  const ended = await call(['event', 'send', 'a.b', '--deliver-at', at]);
  expect(ended).toMatchObject({ code: 0, stdout: 'evt_1\n' });
  expect(ended.stderr).toContain('another content');
  expect(api.asked.at(-1)?.body).toMatchObject({ type: 'a.b', deliverAt: at });
});

describe('schema', () => {
  test('list, show and remove', async () => {
    api.on('GET /v1/event-schemas', () => ({ body: { items: [version()], nextCursor: null } }));
    expect((await call(['schema', 'list'])).stdout).toMatch(/shop\.order +2 +enforce/);
    expect(api.asked.at(-1)?.query.get('enabled')).toBe('true');
    await call(['schema', 'list', '--all']);
    expect(api.asked.at(-1)?.query.has('enabled')).toBe(false);
    const off = version({ version: 1, enabled: false });
    api.on('GET /v1/event-schemas/shop.order', () => ({
      body: { type: 'shop.order', inForce: version(), versions: [version(), off] },
    }));
    const shown = (await call(['schema', 'show', 'shop.order'])).stdout;
    expect(shown).toContain('"type": "object"');
    expect(shown).toMatch(/1 +enforce +off/);
    api.on('DELETE /v1/event-schemas/shop.order', () => ({ body: { inForce: null } }));
    expect((await call(['schema', 'remove', 'shop.order'])).stdout).toContain('no longer checked');
    expect((await call(['schema', 'remove', 'shop.order', '--json'])).stdout).toBe('{"inForce":null}\n');
  });

  test('add sends the file, and --off keeps it out of force', async () => {
    api.on('POST /v1/event-schemas', () => ({ status: 201, body: version({ enabled: false }) }));
    const file = join(folder, 'schema.json');
    writeFileSync(file, '{"type":"object"}');
    const args = ['schema', 'add', 'shop.order', '--schema', `@${file}`, '--mode', 'warn', '--off'];
    expect((await call(args)).stdout).toMatch(/mode +off/);
    expect(api.asked.at(-1)?.body).toEqual({
      ...{ type: 'shop.order', schema: { type: 'object' }, mode: 'warn', enabled: false },
    });
  });

  test('check tries a payload, or recorded events, and ends with a code of its own where one does not fit', async () => {
    api.on('POST /v1/event-schemas/check', () => ({
      body: { valid: false, problem: { path: 'payload.order', message: 'must be integer' } },
    }));
    api.on('POST /v1/event-schemas/back-test', () => ({
      body: {
        looked: 9,
        valid: 8,
        invalid: 1,
        examples: [{ eventId: 'evt_9', path: 'payload', message: 'no' }],
      },
    }));
    const args = ['schema', 'check', 'shop.order', '--schema', '{}'];
    expect(await call([...args, '--payload', '{"order":"x"}'])).toMatchObject({
      ...{ code: 2, stdout: 'payload.order: must be integer\n' },
    });
    const back = await call([...args, '--last', '9']);
    expect(back.code).toBe(2);
    expect(back.stdout).toContain('8 fit and 1 do not');
    expect(back.stdout).toContain('evt_9');
    expect(api.asked.at(-1)?.body).toMatchObject({ type: 'shop.order', last: 9 });
    expect((await call([...args, '--last', '9', '--payload', '{}'])).code).toBe(2);
  });
});

describe('retention', () => {
  const rules = [
    { types: '*', keepDays: 90 },
    { types: 'noise.*', keepDays: 7 },
  ];
  const retention = {
    ...{ rules, version: 4, changedBy: 'prn_admin', changedAt: at, appliedAt: at },
    applied: { partitions: [{ name: 'events_2025_09', events: 12 }], events: 3, keys: 15 },
  };
  const plan = {
    types: [{ type: 'noise.low', keepDays: 7, expired: 5, held: 2 }],
    partitions: [{ name: 'events_2025_09', from: at, to: at, events: 12, held: true }],
    keys: 15,
    holders: [{ kind: 'subscription', subscription: 'audit', lane: 'all', isPaused: true, count: 2 }],
  };
  beforeAll(() => {
    api.on('GET /v1/retention', () => ({ body: retention }));
    api.on('POST /v1/retention/plan', () => ({ body: plan }));
    api.on('PUT /v1/retention', () => ({ body: { ...retention, version: 5 } }));
  });

  test('show tells the rules and what the last run removed', async () => {
    const { stdout } = await call(['retention', 'show']);
    expect(stdout).toMatch(/noise\.\* +7/);
    expect(stdout).toContain('events_2025_09, 3 single events, 15 ids');
    expect((await call(['retention', 'show', '--json'])).stdout).toBe(`${JSON.stringify(retention)}\n`);
  });

  test('plan tells what goes, what stays and who holds it back', async () => {
    const { stdout } = await call(['retention', 'plan', '--rules', '*=90,noise.*=7']);
    expect(stdout).toMatch(/noise\.low +7 +3 +2/);
    expect(stdout).toMatch(/events_2025_09 +12 +held back/);
    expect(stdout).toMatch(/subscription +audit +all +paused +2/);
    expect(api.asked.at(-1)?.body).toEqual({ rules });
  });

  test('set shows the plan and asks; a no, and nothing at all, change nothing', async () => {
    const args = ['retention', 'set', '--rules', '*=90,noise.*=7'];
    for (const answer of ['n\n', '']) {
      const ended = await call(args, answer);
      expect(ended.code).toBe(2);
      expect(ended.stderr).toContain('does not come back');
      expect(ended.stderr).toContain('paused');
    }
    expect(api.asked.map(({ method }) => method)).not.toContain('PUT');
    expect((await call(args, 'y\n')).code).toBe(0);
    expect(api.asked.at(-1)).toMatchObject({ method: 'PUT', body: { rules, version: 4 } });
    expect((await call([...args, '--json'])).code).toBe(2);
    expect(await call([...args, '--json', '--yes'])).toMatchObject({ code: 0, stderr: '' });
  });

  test.each(['*', '*=', 'noise=many'])('rules like %s are a mistake in the command', async (text) => {
    const ended = await call(['retention', 'plan', '--rules', text]);
    expect(ended.code).toBe(2);
    expect(ended.stderr).toContain('TYPES=DAYS');
  });
});
