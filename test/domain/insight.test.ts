import { describe, expect, test } from 'vitest';
import { detectWeakPoints } from '../../domain/halo.ts';
import { type Insight, raiseByInsights } from '../../domain/insight.ts';
import { anIssue } from '../support/halo-record.ts';

const insight = (id: string, severity: Insight['severity'], ...entities: string[]): Insight => ({
  ...{ id, pattern: 'endpoints-unreliable', severity, title: id, entities, suggestedActions: [] },
});
const points = detectWeakPoints(
  (['medium', 'high', 'critical', 'medium'] as const).map((severity, at) =>
    anIssue({ key: `p${at}`, entityId: `p${at}`, severity }),
  ),
);
const shown = (...insights: Insight[]) => {
  const { weakPoints, used } = raiseByInsights(points, insights);
  return { order: weakPoints.map(({ entityId, severity }) => `${entityId} ${severity}`), used };
};
const asFound = ['p0 medium', 'p1 high', 'p2 critical', 'p3 medium'];

describe('weak points in the light of insights (D9)', () => {
  test('without insights nothing moves', () => {
    expect(shown()).toEqual({ order: asFound, used: [] });
  });

  test('one that a high insight names is one severity graver and comes first; critical stays critical', () => {
    expect(shown(insight('i', 'high', 'endpoint:p3', 'endpoint:p2'))).toEqual({
      order: ['p2 critical', 'p3 high', 'p0 medium', 'p1 high'],
      used: ['i'],
    });
  });

  test('one that a medium insight names comes behind those, as grave as it was', () => {
    expect(
      shown(insight('m', 'medium', 'endpoint:p0', 'endpoint:p3'), insight('h', 'high', 'endpoint:p3')),
    ).toEqual({
      order: ['p3 high', 'p0 medium', 'p1 high', 'p2 critical'],
      used: ['m', 'h'],
    });
  });

  test('a low insight, and one about others, change nothing and are not named', () => {
    expect(shown(insight('l', 'low', 'endpoint:p3'), insight('o', 'high', 'endpoint:other'))).toEqual({
      order: asFound,
      used: [],
    });
  });
});
