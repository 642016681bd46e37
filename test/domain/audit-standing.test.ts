import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../domain/json.ts';
import { aChain, anExport, type Said, verifyLines } from '../support/audit-chain.ts';

const pair = 'repair.api.endpoint|probe';
const said = (
  actor: string,
  action: string,
  subjectKind: string,
  subjectId: string,
  detail: JsonObject = {},
): Said => ({ actor, action, subjectKind, subjectId, detail });

const grant = (given: JsonObject = {}, actor = 'prn_ada', of = pair): Said =>
  said(actor, 'autonomy.grant', 'autonomy', of, { version: 3, expiresAt: null, reason: 'earned', ...given });
const create = (given: JsonObject = {}, actor = 'halo'): Said =>
  said(actor, 'task.create', 'task', 'tsk_1', {
    ...{ digest: 'd1', approvalId: 'apr_1', requestedBy: 'prn_bob', required: 1, risk: 'medium' },
    ...{ type: 'repair.api.endpoint', target: 'probe:prb_1', ...given },
  });
const standing = (given: JsonObject = {}, actor = 'halo'): Said =>
  said(actor, 'approval.standing', 'approval', 'apr_1', {
    ...{ task: 'tsk_1', digest: 'd1', grantor: 'prn_ada', grant: pair, grantVersion: 3, state: 'approved' },
    ...given,
  });
const dispatch = said('system', 'task.dispatch', 'task', 'tsk_1', {
  ...{ approvalId: 'apr_1', digest: 'd1', attempt: 1 },
});
const judged = (autonomy: string, of = pair): Said =>
  said('halo', 'repair.judge', 'repair', 'tsk_0', { pair: of, autonomy });
const withdraw = said('prn_bob', 'autonomy.withdraw', 'autonomy', pair);

const kinds = (entries: Said[]): string[] => {
  const chain = aChain(entries);
  return verifyLines(anExport(chain, [])).findings.map(({ kind, chainNo }) => `${kind} ${chainNo}`);
};

describe('audit verify accepts a dispatch under a standing approval', () => {
  test.each<[string, Said[]]>([
    ['behind the grant it names', [grant(), create(), standing(), dispatch]],
    [
      'while its time is not over',
      [grant({ expiresAt: '2027-01-01T00:00:00.000Z' }), create(), standing(), dispatch],
    ],
    ['after a repair that helped', [grant(), judged('granted'), create(), standing(), dispatch]],
    ['after another pair fell back', [grant(), judged('manual', 'x|probe'), create(), standing(), dispatch]],
    [
      'when it was withdrawn and granted anew',
      [grant(), withdraw, grant({ version: 6 }), create(), standing({ grantVersion: 6 }), dispatch],
    ],
  ])('%s', (_what, entries) => {
    expect(kinds(entries)).toEqual([]);
  });
});

describe('audit verify finds a forged one', () => {
  test.each<[string, Said[]]>([
    ['without any grant', [create(), standing(), dispatch]],
    ['with the grant behind it', [create(), standing(), grant(), dispatch]],
    ['by a grant of somebody else', [grant({}, 'prn_eve'), create(), standing(), dispatch]],
    ['by a grant of another version', [grant({ version: 2 }), create(), standing(), dispatch]],
    [
      'by a grant of another action',
      [grant({}, 'prn_ada', 'x|probe'), create(), standing({ grant: 'x|probe' }), dispatch],
    ],
    ['after the grant was withdrawn', [grant(), withdraw, create(), standing(), dispatch]],
    ['after a repair that did not help', [grant(), judged('manual'), create(), standing(), dispatch]],
    ['that was carried out after the withdrawal', [grant(), create(), standing(), withdraw, dispatch]],
    [
      'that was carried out after a failed repair',
      [grant(), create(), standing(), judged('manual'), dispatch],
    ],
    ['after its time', [grant({ expiresAt: '2025-01-01T00:00:00.000Z' }), create(), standing(), dispatch]],
    ['for what the grantor asked for', [grant(), create({ requestedBy: 'prn_ada' }), standing(), dispatch]],
    ['for high risk', [grant(), create({ risk: 'high' }), standing(), dispatch]],
    ['for what HALO did not propose', [grant(), create({}, 'prn_bob'), standing(), dispatch]],
    ['where two people are asked for', [grant(), create({ required: 2 }), standing(), dispatch]],
    ['for another content', [grant(), create(), standing({ digest: 'd2' }), dispatch]],
    ['that HALO did not record', [grant(), create(), standing({}, 'prn_ada'), dispatch]],
    ['that names no grant', [grant(), create(), standing({ grant: null }), dispatch]],
  ])('%s', (_what, entries) => {
    expect(kinds(entries)).toEqual([`dispatch-without-decision ${entries.indexOf(dispatch) + 1}`]);
  });
});
