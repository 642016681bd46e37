import { describe, expect, test } from 'vitest';
import { checkTemplate, signalTarget } from '../../domain/signal-target.ts';
import { aLoggedEvent } from '../support/events.ts';

const event = aLoggedEvent({
  sourceId: 'shop-1',
  correlationId: 'order:7',
  payload: { order: { id: 'o-7', total: 5 }, evil: 'a/b', kind: 'task', list: [1] },
});

describe('the workflow of a signal', () => {
  test.each([
    ['orders', 'orders'],
    ['orders/{payload.order.id}', 'orders/o-7'],
    ['{sourceId}@{correlationId}', 'shop-1@order:7'],
    ['total-{payload.order.total}', 'total-5'],
    ['task-force', 'task-force'],
    ['halogen', 'halogen'],
  ])('%s is %s', (template, workflowId) => {
    expect(checkTemplate(template)).toBeNull();
    expect(signalTarget(template, event)).toBe(workflowId);
  });

  test.each([
    ['{payload.none}', 'has no payload.none'],
    ['{payload.order}', 'has no payload.order'],
    ['{payload.list.length}', 'has no payload.list.length'],
    ['{payload.constructor.name}', 'has no payload.constructor.name'],
    ['{payload.evil}', 'characters'],
    ['{payload.kind}/tsk_1', 'run of this system'],
    ['h{payload.kind}', 'htask'],
  ])('%s is not more than the event says', (template, text) => {
    const found = signalTarget(template, event);
    expect(typeof found === 'string' ? found : found.message).toContain(text);
  });

  test.each([
    ...['task/tsk_1', 'halo', 'halo-cycle/c', 'subscription/halo', 'notification/n', 'replay/r', 'redrive/r'],
    ...['probe/p/x', 'probe-schedule/p', 'retention', 'retention-2026-01-01T00:00:00Z', 'audit-anchor'],
    ...['audit-anchor-workflow-2026', 'fabric/f', 'graft/g', 'spore-deploy/s', 'remedy/a/b', 'halo/x'],
  ])('%s has a door of its own', (workflowId) => {
    expect(checkTemplate(workflowId)).toMatchObject({ refused: 'FORBIDDEN' });
    expect(signalTarget(workflowId, event)).toMatchObject({ refused: 'FORBIDDEN' });
  });

  test.each(['{id}', '{payload}', '{payload.}', 'a b', 'ü', '{payload.a b}', '{correlationId'])(
    '%s is no template',
    (template) => {
      expect(checkTemplate(template)).toMatchObject({ refused: 'INVALID' });
    },
  );
});
