import { expect, test } from 'vitest';
import { createFence } from '../../demo/fence.ts';

const call = (target: string, epoch?: number) => ({
  ...(epoch === undefined ? {} : { epoch }),
  task: { id: 'tsk_1', type: 'repair.api.endpoint', target, payload: {} },
});

test('an agent never acts on an epoch lower than the highest it has seen for the target', () => {
  const mayAct = createFence();
  expect([mayAct(call('a')), mayAct(call('a', 3)), mayAct(call('a', 3))]).toEqual([true, true, true]);
  expect([mayAct(call('a', 2)), mayAct(call('a'))]).toEqual([false, false]);
  expect(mayAct(call('a', 4))).toBe(true);
});

test('a switch over one target does not fence the others', () => {
  const mayAct = createFence();
  mayAct(call('a', 9));
  expect(mayAct(call('b', 1))).toBe(true);
});
