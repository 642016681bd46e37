import { expect, test } from 'vitest';
import { describeFold, foldDifferences, isRiskier, type Proposed } from '../../domain/task-fold.ts';

const open: Proposed = {
  type: 'repair.app',
  title: 'Repair the shop',
  target: 'shop',
  payload: { url: 'http://shop/', deep: { b: 1, a: [1, 2] } },
  targetRole: 'DreamOps',
  severity: 'high',
  risk: 'medium',
  reversible: false,
  dispatchMode: 'manual',
  timeoutMs: 1000,
};

test.each<[string, Partial<Proposed>, object[]]>([
  ['nothing', {}, []],
  ['the order of members only', { payload: { deep: { a: [1, 2], b: 1 }, url: 'http://shop/' } }, []],
  ['a higher risk', { risk: 'high' }, [{ member: 'risk', open: '"medium"', proposed: '"high"' }]],
  [
    'a member of the payload',
    { payload: { ...open.payload, url: 'http://bank/' } },
    [{ member: 'payload.url', open: '"http://shop/"', proposed: '"http://bank/"' }],
  ],
  [
    'members that only one of them has',
    { payload: { url: 'http://shop/', force: null } },
    [
      { member: 'payload.deep', open: '{"a":[1,2],"b":1}', proposed: 'nothing' },
      { member: 'payload.force', open: 'nothing', proposed: 'null' },
    ],
  ],
])('a later proposal that differs in %s', (_name, given, differences) => {
  expect(foldDifferences(open, { ...open, ...given })).toEqual(differences);
});

test('long values are cut with a mark, and thirty differences are enough', () => {
  const payload = Object.fromEntries(
    Array.from({ length: 50 }, (_, index) => [`k${index}`, 'x'.repeat(500)]),
  );
  const differences = foldDifferences(open, { ...open, payload });
  expect(differences).toHaveLength(30);
  for (const { proposed } of differences) {
    expect(proposed.length).toBeLessThanOrEqual(121);
    if (proposed !== 'nothing') expect(proposed.endsWith('…')).toBe(true);
  }
});

test.each([
  ['low', 'medium', true],
  ['medium', 'high', true],
  ['high', 'high', false],
  ['high', 'low', false],
] as const)('a proposal of %s is exceeded by one of %s: %s', (was, now, riskier) => {
  expect(isRiskier(was, now)).toBe(riskier);
});

test('the log says who proposed what differently, and nothing where nothing differs', () => {
  expect(describeFold('ada', [])).toBeNull();
  expect(describeFold('ada', foldDifferences(open, { ...open, risk: 'high' }))).toBe(
    'ada proposed this again, and differently; the open proposal stands as it is. risk is "medium", theirs has "high"',
  );
});
