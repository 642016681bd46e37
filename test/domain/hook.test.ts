import { describe, expect, test } from 'vitest';
import { eventOfMessage, type HookMapping, type HookMessage, type HookRules } from '../../domain/hook.ts';
import type { JsonObject } from '../../domain/json.ts';

const hook = (mapping: HookMapping = {}, given: Partial<HookRules> = {}): HookRules => ({
  ...{ id: 'hok_1', name: 'ci', eventType: 'ci.build', severity: 'info', mapping },
  ...given,
});
const message = (body: JsonObject, kind: string | null = null): HookMessage => ({
  messageId: 'msg_1',
  kind,
  body,
});

describe('a message to a hook', () => {
  test('becomes an event of the type and severity of the hook, with the body as its payload', () => {
    expect(eventOfMessage(hook(), message({ a: 1 }))).toEqual({
      type: 'ci.build',
      source: { type: 'api', id: 'hook:ci' },
      severity: 'info',
      payload: { a: 1 },
      metadata: { hook: { id: 'hok_1', messageId: 'msg_1' } },
    });
  });

  test('says type, severity and thread where the hook maps them', () => {
    const mapping = { type: 'run.state', severity: 'level', correlationId: 'run.id' };
    const body = { run: { state: 'Timed_Out', id: 42 }, level: 'critical' };
    expect(eventOfMessage(hook(mapping), message(body))).toMatchObject({
      type: 'ci.build.timed-out',
      severity: 'critical',
      correlationId: '42',
    });
  });

  test.each<[string, JsonObject]>([
    ['is missing', {}],
    ['is another kind of value', { type: ['x'], severity: { a: 1 }, correlationId: null }],
    ['is no word of a type, and no severity', { type: '///', severity: 'loud', correlationId: '' }],
    ['belongs to every object', JSON.parse('{"type":{}}') as JsonObject],
  ])('is as the hook says where what is mapped %s', (_name, body) => {
    const mapping = { type: 'type', severity: 'severity', correlationId: 'correlationId' };
    const event = eventOfMessage(hook(mapping), message(body));
    expect(event).toMatchObject({ type: 'ci.build', severity: 'info' });
    expect(event).not.toHaveProperty('correlationId');
  });

  test('does not find what every object has', () => {
    const event = eventOfMessage(hook({ type: 'constructor.name' }), message({}));
    expect(event.type).toBe('ci.build');
  });

  test('has what its sender calls it behind the type, unless that becomes too long', () => {
    expect(eventOfMessage(hook(), message({}, 'pull_request')).type).toBe('ci.build.pull-request');
    expect(eventOfMessage(hook(), message({}, 'x'.repeat(130))).type).toBe('ci.build');
  });
});
