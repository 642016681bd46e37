import { describe, expect, test } from 'vitest';
import type { Issue } from '../../domain/analyzers/issue.ts';
import { detectWeakPoints } from '../../domain/halo.ts';
import { defaultHaloLimits, emptyHaloLoop, restFor, settling } from '../../domain/halo-loop.ts';
import { type Insight, raiseByInsights, type TrackRecord } from '../../domain/insight.ts';
import { planTasks, settle } from '../../domain/plan.ts';
import { chooseStrategy, leastTrials, strategies } from '../../domain/strategies.ts';
import { anIssue } from '../support/halo-record.ts';

const hour = 3_600_000;

function failing(name: string, given: Partial<Issue> = {}): Issue {
  return anIssue({ key: name, entityId: name, entityName: name, title: 'is down', evidence: [], ...given });
}

const needs = (...names: string[]) => ({ dependsOn: names.map((name) => `endpoint:${name}`) });

describe('which strategy', () => {
  const chosen = (records: Record<string, TrackRecord>) =>
    chooseStrategy(strategies, { analyzer: 'endpoint-health', target: 'probe:x' }, records)?.taskType;
  const restart = 'restart.api.endpoint|probe';
  const repair = 'repair.api.endpoint|probe';

  test.each<[string, Record<string, TrackRecord>, string]>([
    ['untried, the first one', {}, 'repair.api.endpoint'],
    ['one success is chance', { [restart]: { helped: 1, failed: 0 } }, 'repair.api.endpoint'],
    ['one failure is chance', { [repair]: { helped: 0, failed: 1 } }, 'repair.api.endpoint'],
    [
      'from the least number of trials on the other that helped more is taken',
      { [restart]: { helped: leastTrials, failed: 0 } },
      'restart.api.endpoint',
    ],
    [
      'what failed that often is left',
      { [repair]: { helped: 0, failed: leastTrials } },
      'restart.api.endpoint',
    ],
    [
      'of two that were tried the larger share',
      { [repair]: { helped: 3, failed: 2 }, [restart]: { helped: 4, failed: 2 } },
      'restart.api.endpoint',
    ],
  ])('%s', (_, records, expected) => {
    expect(chosen(records)).toBe(expected);
  });
});

describe('the order of proposals', () => {
  const about = (entity: string): Insight => ({
    ...{ id: 'i', pattern: 'endpoints-unreliable', severity: 'high', title: 'unreliable' },
    ...{ entities: [entity], suggestedActions: [] },
  });
  const targets = (issues: Issue[], entity: string) =>
    planTasks(raiseByInsights(detectWeakPoints(issues), [about(entity)]).weakPoints).map(
      ({ target }) => target,
    );

  test.each<[string, Partial<Issue>[]]>([
    ['with first signs', [{ sinceMs: 0 }, { sinceMs: hour }, { sinceMs: 2 * hour }]],
    ['without first signs', [{}, {}, {}]],
  ])('what an insight raised is proposed first, %s (D9)', (_, given) => {
    const issues = ['a', 'b', 'c'].map((name, at) => failing(name, { severity: 'high', ...given[at] }));
    expect(targets(issues, 'endpoint:c')).toEqual(['probe:c', 'probe:a', 'probe:b']);
    expect(targets(issues, 'endpoint:b')).toEqual(['probe:b', 'probe:a', 'probe:c']);
  });

  test('an incident comes where its first member does, also when that is not its root (D9)', () => {
    const issues = [failing('a', { sinceMs: 0 }), failing('db', { sinceMs: hour })];
    issues.push(failing('shop', { sinceMs: hour, ...needs('db') }));
    expect(targets(issues, 'endpoint:shop')).toEqual(['probe:db', 'probe:a']);
  });
});

describe('who speaks for an incident', () => {
  test('its root, with those that need it counted', () => {
    const [proposal, ...more] = planTasks(
      detectWeakPoints([failing('db'), failing('shop', needs('db')), failing('till', needs('shop'))]),
    );
    expect(more).toEqual([]);
    expect(proposal).toMatchObject({
      title: 'Repair db: is down (and 2 more with the same cause)',
      target: 'probe:db',
      blastRadius: 2,
      alsoAffected: ['probe:shop', 'probe:till'],
    });
  });

  test.each<[string, Partial<Issue>]>([
    ['nobody answers for its root', { owner: '' }],
    ['no strategy knows its root', { analyzer: 'swarm-patrol' }],
  ])('the next member when %s, and the title names the root', (_, root) => {
    const issues = [failing('db', root), failing('mute', { owner: '', ...needs('db') })];
    issues.push(failing('shop', { owner: 'prn_shop', ...needs('db') }));
    expect(planTasks(detectWeakPoints(issues))).toMatchObject([
      {
        title: 'Repair shop: is down (the root is db: is down) (and 2 more with the same cause)',
        target: 'probe:shop',
        requestedBy: 'prn_shop',
        payload: issues[2]?.subject,
      },
    ]);
  });

  test('nobody, when no member has an owner and a strategy', () => {
    const issues = [failing('db', { owner: '' }), failing('shop', { owner: '', ...needs('db') })];
    expect(planTasks(detectWeakPoints(issues))).toEqual([]);
  });
});

describe('a proposal whose first sign is fresh', () => {
  const planned = (...issues: Issue[]) => planTasks(detectWeakPoints(issues));

  test('waits, says until when, and is named with its target', () => {
    const old = failing('old', { sinceMs: 0 });
    const fresh = failing('fresh', { sinceMs: hour, title: 'is slow' });
    const { ripe, unripe, settledMs } = settle(planned(old, fresh), hour + 1, 90_000);
    expect(ripe.map(({ target }) => target)).toEqual(['probe:old']);
    expect(unripe).toMatchObject([{ title: 'Repair fresh: is slow', target: 'probe:fresh' }]);
    expect(unripe[0]?.because).toContain('1970-01-01T01:01:30.000Z');
    expect(settledMs).toBe(hour + 90_000);
  });

  test('is made once its incident is old enough, as the earliest sign of its members tells', () => {
    const incident = planned(
      failing('db', { sinceMs: 60_000 }),
      failing('shop', { sinceMs: 0, ...needs('db') }),
    );
    expect(settle(incident, 89_999, 90_000).ripe).toEqual([]);
    expect(settle(incident, 90_000, 90_000)).toMatchObject({ ripe: [{ target: 'probe:db' }], unripe: [] });
  });

  test('waits for the last of several', () => {
    const two = planned(failing('a', { sinceMs: 0 }), failing('b', { sinceMs: 50_000 }));
    expect(settle(two, 50_000, 90_000).settledMs).toBe(140_000);
  });

  test('is made at once without a time to settle, and where nobody saw the first sign', () => {
    expect(settle(planned(failing('a', { sinceMs: hour })), hour, 0).ripe).toHaveLength(1);
    expect(settle(planned(failing('a')), hour, 90_000).ripe).toHaveLength(1);
  });
});

describe('the loop looks again when all has settled', () => {
  const waits = (settledMs: number | undefined, mode: 'full' | 'light' = 'full') =>
    settling(settling(emptyHaloLoop(), 'full', 500_000), mode, settledMs);

  test.each<[string, number | undefined, 'full' | 'light', number | null]>([
    ['the error window before the last one has', 200_000, 'full', 70_000],
    ['at once when that is over', 110_000, 'full', 1],
    ['never when a full cycle left nothing', undefined, 'full', null],
    ['as before when a light one left nothing', undefined, 'light', 370_000],
  ])('%s', (_, settledMs, mode, expected) => {
    expect(restFor(waits(settledMs, mode), defaultHaloLimits, 100_000)).toBe(expected);
  });
});

describe('a proposal of a thousand members', () => {
  const names = Array.from({ length: 999 }, (_, at) => `s${at}`);
  const root = failing('db', { evidence: Array.from({ length: 80 }, (_, at) => `evt_db_${at}`) });
  const others = names.map((name) =>
    failing(name, { evidence: [`evt_${name}_new`, `evt_${name}_old`], ...needs('db') }),
  );

  test('keeps a few of them and counts them all', () => {
    const [proposal] = planTasks(detectWeakPoints([root, ...others]));
    expect(proposal?.alsoAffected).toHaveLength(50);
    expect(proposal?.blastRadius).toBe(999);
    expect(proposal?.title).toContain('999 more');
  });

  test('keeps as much evidence, the newest of each member before the second of any', () => {
    const [proposal] = planTasks(detectWeakPoints([root, ...others]));
    expect(proposal?.evidence).toHaveLength(50);
    expect(proposal?.evidence.slice(0, 3)).toEqual(['evt_db_0', 'evt_s0_new', 'evt_s1_new']);
    const [few] = planTasks(detectWeakPoints([root, ...others.slice(0, 2)]));
    expect(few?.evidence.slice(0, 7)).toEqual([
      ...['evt_db_0', 'evt_s0_new', 'evt_s1_new', 'evt_db_1', 'evt_s0_old', 'evt_s1_old', 'evt_db_2'],
    ]);
    expect(few?.evidence).toHaveLength(50);
  });
});
