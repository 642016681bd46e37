import { describe, expect, test } from 'vitest';
import {
  categoryOf,
  defaultPriority,
  eventInputSchema,
  eventTypes,
  isAtLeast,
  priorities,
  severities,
  sourceTypes,
} from '../../domain/events.ts';

const input = { type: 'api.endpoint.failed', source: { type: 'api', id: 'prb_1' } };

describe('priority and severity', () => {
  test.each([
    ['info', 'normal'],
    ['warning', 'normal'],
    ['error', 'high'],
    ['critical', 'critical'],
  ] as const)('an event of severity %s is delivered with priority %s', (severity, priority) => {
    expect(defaultPriority(severity)).toBe(priority);
  });

  test('severities grow from info to critical', () => {
    expect(severities.map((severity) => isAtLeast(severity, 'error'))).toEqual([false, false, true, true]);
  });

  test.each([
    ['api.endpoint.failed', 'api'],
    ['one', 'one'],
    ['', ''],
  ])('the category of %j is %j', (type, category) => {
    expect(categoryOf(type)).toBe(category);
  });
});

describe('event types', () => {
  test('each is one of its kind and fit to be posted', () => {
    const types = Object.values(eventTypes);
    expect(new Set(types).size).toBe(types.length);
    for (const type of types) expect(eventInputSchema.safeParse({ ...input, type }).success).toBe(true);
  });
});

describe('eventInputSchema', () => {
  test('what is left out has a default', () => {
    expect(eventInputSchema.parse(input)).toEqual({ ...input, severity: 'info', payload: {}, metadata: {} });
  });

  test('everything at once', () => {
    const whole = {
      id: 'evt_1:a.b-C',
      ...input,
      destination: 'agt_1',
      severity: 'error',
      priority: 'low',
      payload: { deep: [{ a: null }] },
      metadata: { trace: 'x' },
      correlationId: 'c',
      causationId: 'd',
      occurredAt: '2026-01-02T03:04:05.678+02:00',
    };
    expect(eventInputSchema.parse(whole)).toEqual(whole);
  });

  test.each(sourceTypes)('a source of type %s is known', (type) => {
    expect(eventInputSchema.safeParse({ ...input, source: { type, id: 'x' } }).success).toBe(true);
  });

  test.each(priorities)('a priority %s is known', (priority) => {
    expect(eventInputSchema.safeParse({ ...input, priority }).success).toBe(true);
  });

  test.each<[string, Record<string, unknown>]>([
    ['an unknown field', { tenant: 'x' }],
    ['a position of its own', { tx: '1', seq: '1' }],
    ['a time of recording', { recordedAt: '2026-01-01T00:00:00Z' }],
    ['an unknown field in the source', { source: { type: 'api', id: 'x', admin: true } }],
    ['an unknown source', { source: { type: 'root', id: 'x' } }],
    ['a source without an id', { source: { type: 'api', id: '' } }],
    ['a source id that is too long', { source: { type: 'api', id: 'x'.repeat(201) } }],
    ['no type', { type: undefined }],
    ['an empty type', { type: '' }],
    ['a type in capitals', { type: 'Api.failed' }],
    ['a type with two dots', { type: 'api..failed' }],
    ['a type that ends with a dot', { type: 'api.' }],
    ['a type with a star', { type: 'api.*' }],
    ['a type with a line break', { type: 'api.failed\n' }],
    ['a type that is too long', { type: 'a'.repeat(121) }],
    ['an id with a space', { id: 'evt 1' }],
    ['an empty id', { id: '' }],
    ['an id that is too long', { id: 'x'.repeat(101) }],
    ['an unknown severity', { severity: 'fatal' }],
    ['an unknown priority', { priority: 'urgent' }],
    ['a payload that is a list', { payload: [] }],
    ['a payload that is a text', { payload: '{}' }],
    ['a payload with a function', { payload: { run: () => 1 } }],
    ['a payload with a number that JSON has not', { payload: { n: Infinity } }],
    ['a time without a zone', { occurredAt: '2026-01-02T03:04:05' }],
    ['a time that does not exist', { occurredAt: '2026-02-30T03:04:05Z' }],
    ['an empty correlation', { correlationId: '' }],
  ])('%s is refused', (_what, wrong) => {
    expect(eventInputSchema.safeParse({ ...input, ...wrong }).success).toBe(false);
  });
});
