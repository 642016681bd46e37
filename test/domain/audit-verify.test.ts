import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AuditAnchor, type AuditEntry, beforeFirst, hashedText } from '../../domain/audit.ts';
import {
  aChain,
  aLife,
  anAnchor,
  anEntry,
  anExport,
  type Life,
  type Said,
  sha256,
  verifyLines,
} from '../support/audit-chain.ts';

const lives = (count: number): Said[] =>
  Array.from({ length: count }, (_, at) => aLife({ id: `tsk_${at}` })).flat();
const chain = aChain(lives(20));
const anchors = [15, 30, 45, 60].map((chainNo) => anAnchor(chain, chainNo));
const head = { chainNo: 60, hash: chain[59]?.hash ?? '' };

/** The findings over entries that were tampered with, while everything outside them stayed as it was. */
function found(entries: AuditEntry[], given: { head?: typeof head; anchors?: AuditAnchor[] } = {}) {
  const lines = anExport(entries, given.anchors ?? anchors, {
    head: given.head ?? head,
    installation: chain[0]?.hash ?? null,
  });
  return verifyLines(lines).findings.map(({ kind, chainNo }) => `${kind} ${chainNo}`);
}

const at = (chainNo: number): AuditEntry => chain[chainNo - 1] as AuditEntry;
const rehashed = (entry: AuditEntry): AuditEntry => ({ ...entry, hash: sha256(hashedText(entry)) });
const renumbered = (entries: AuditEntry[]): AuditEntry[] =>
  entries.map((entry, index) => ({ ...entry, chainNo: index + 1 }));
function rechained(entries: AuditEntry[]): AuditEntry[] {
  let prevHash = beforeFirst;
  return renumbered(entries).map((entry) => {
    const next = rehashed({ ...entry, prevHash });
    prevHash = next.hash;
    return next;
  });
}
const forged: Said = {
  actor: 'prn_operator',
  action: 'key.issue',
  subjectKind: 'key',
  subjectId: 'key_forged',
};

test('an untouched chain with its signed heads is intact', () => {
  const report = verifyLines(anExport(chain, anchors));
  expect(report).toMatchObject({ intact: true, entries: 60, dispatches: 20, anchors: 4, anchoredTo: 60 });
});

describe('TRUST 4.44: a changed, deleted, inserted, swapped or cut-off row is found with its number', () => {
  test.each<[string, AuditEntry[], string]>([
    ['a changed body', chain.with(29, { ...at(30), body: at(30).body.replace('prn', 'pnr') }), 'altered 30'],
    ['a changed result', chain.with(29, { ...at(30), result: '{"x":1}' }), 'altered 30'],
    ['a changed time', chain.with(29, { ...at(30), at: '2026-01-01T00:00:00.000000Z' }), 'altered 30'],
    ['a changed hash', chain.with(29, { ...at(30), hash: 'f'.repeat(64) }), 'altered 30'],
    ['a changed column beside its body', chain.with(29, { ...at(30), actor: 'prn_other' }), 'altered 30'],
    [
      'a body that was changed together with its hash',
      chain.with(30, rehashed({ ...at(31), body: at(31).body.replace('prn', 'pnr') })),
      'altered 31',
    ],
    ['the first row removed', chain.slice(1), 'removed 1'],
    ['a row removed', chain.toSpliced(29, 1), 'removed 30'],
    ['three rows removed', chain.toSpliced(29, 3), 'removed 30'],
    ['a row removed and the others renumbered', renumbered(chain.toSpliced(29, 1)), 'removed 30'],
    [
      'a row inserted, the others renumbered',
      renumbered(chain.toSpliced(29, 0, anEntry(forged, 30, at(29).hash))),
      'inserted 30',
    ],
    ['a number used twice', chain.toSpliced(29, 0, anEntry(forged, 29, at(28).hash)), 'inserted 29'],
    ['a row before the first', [anEntry(forged, 0, beforeFirst), ...chain], 'inserted 0'],
    ['a row put in the place of another', chain.with(29, anEntry(forged, 30, at(29).hash)), 'altered 30'],
    [
      'two neighbours swapped',
      chain.with(29, { ...at(31), chainNo: 30 }).with(30, { ...at(30), chainNo: 31 }),
      'swapped 30',
    ],
    [
      'two distant rows swapped',
      chain.with(9, { ...at(50), chainNo: 10 }).with(49, { ...at(10), chainNo: 50 }),
      'swapped 50',
    ],
    ['the end cut off', chain.slice(0, 50), 'cut-off 51'],
  ])('%s', (_what, entries, finding) => {
    expect(found(entries)).toContain(finding);
  });

  test('the end cut off with the head moved back is found by the head kept outside the database', () => {
    const short = chain.slice(0, 50);
    const moved = { chainNo: 50, hash: at(50).hash };
    expect(found(short, { head: moved })).toEqual(['cut-off 51']);
    const left = anchors.filter(({ chainNo }) => chainNo <= 50);
    expect(found(short, { head: moved, anchors: left })).toEqual([]);
    const outside = new Map(anchors.map((anchor) => [anchor.chainNo, anchor]));
    const report = verifyLines(anExport(short, left), { outside, isOutsideOlder: true });
    expect(report.findings.map(({ kind, chainNo }) => `${kind} ${chainNo}`)).toEqual(['cut-off 51']);
  });

  test('a chain that was made anew behind a change does not have the hashes that were signed', () => {
    const changed = rechained(chain.with(19, { ...at(20), body: at(20).body.replace('prn', 'pnr') }));
    const findings = found(changed, { head: { chainNo: 60, hash: changed[59]?.hash ?? '' } });
    expect(findings).toContain('altered 30');
    expect(findings).not.toContain('altered 15');
  });

  test('a whole chain made anew is that of another installation', () => {
    const other = aChain([forged, ...lives(20)]);
    const outside = new Map(anchors.map((anchor) => [anchor.chainNo, anchor]));
    const report = verifyLines(anExport(other, []), { outside });
    expect(report.findings.map(({ kind }) => kind)).toContain('forged-anchor');
  });

  test('an entry behind the end of the chain was inserted', () => {
    const longer = [...chain, anEntry(forged, 61, at(60).hash)];
    expect(found(longer)).toEqual(['inserted 61']);
  });

  test('only the row that was touched is named', () => {
    expect(found(chain.with(29, { ...at(30), result: '{"x":1}' }))).toEqual(['altered 30']);
    expect(found(chain.toSpliced(32, 1))).toEqual(['removed 33']);
    expect(found(renumbered(chain.toSpliced(30, 0, anEntry(forged, 31, at(30).hash))))).toEqual([
      'inserted 31',
    ]);
  });
});

describe('signed heads', () => {
  test.each<[string, AuditAnchor]>([
    ['with a changed hash', { ...anAnchor(chain, 30), hash: 'f'.repeat(64) }],
    ['with a changed number', { ...anAnchor(chain, 30), chainNo: 31 }],
    ['with a changed time', { ...anAnchor(chain, 30), at: '2027-01-01T00:00:00.000Z' }],
    ['of another key', { ...anAnchor(chain, 30), keyId: '0'.repeat(16) }],
    ['of another installation', anAnchor(chain, 30, { installation: 'e'.repeat(64) })],
  ])('one %s is a forged anchor', (_what, anchor) => {
    expect(found(chain, { anchors: [anchor] })).toEqual([`forged-anchor ${anchor.chainNo}`]);
  });

  test('one that comes twice or out of order is a forged anchor', () => {
    expect(found(chain, { anchors: [anAnchor(chain, 30), anAnchor(chain, 30)] })).toEqual([
      'forged-anchor 30',
    ]);
  });

  test('what a valid one reaches is told', () => {
    const report = verifyLines(anExport(chain, anchors.slice(0, 2)));
    expect(report).toMatchObject({ intact: true, anchoredTo: 30, to: 60 });
  });

  test('heads from outside that are younger than the export are no cut-off, older ones are', () => {
    const outside = new Map([[70, anAnchor(chain, 70, { at: '2026-07-01T00:00:00.000Z' })]]);
    expect(verifyLines(anExport(chain, []), { outside, isOutsideOlder: false })).toMatchObject({
      intact: true,
      laterHeads: 1,
    });
    expect(verifyLines(anExport(chain, []), { outside, isOutsideOlder: true }).intact).toBe(false);
  });
});

describe('a dispatch without a valid earlier decision is found', () => {
  const kindsOf = (all: Said[]) =>
    verifyLines(anExport(aChain(all), [])).findings.map(({ kind, chainNo }) => `${kind} ${chainNo}`);
  const without = (life: Said[], action: string): Said[] => life.filter((said) => said.action !== action);
  const changed = (life: Said[], action: string, detail: object): Said[] =>
    life.map((said) => (said.action === action ? { ...said, detail: { ...said.detail, ...detail } } : said));
  const life = aLife({ id: 'tsk_1' });
  const two = aLife({ id: 'tsk_1', people: ['prn_operator', 'prn_admin'] });
  const owned: Said[] = [
    {
      ...{
        actor: 'prn_admin',
        action: 'principal.create',
        subjectKind: 'principal',
        subjectId: 'prn_requester',
      },
      detail: { owner: 'prn_operator' },
    },
    ...life,
  ];

  /** A proposal whose content somebody changed before somebody approved it. */
  const edited = (editor: string, approver: string): Said[] => {
    const moved = { newApprovalId: 'apr_tsk_1_2', digest: 'e'.repeat(64), required: 1, requestedBy: editor };
    const of = (said: Said | undefined, detail: object): Said =>
      ({ ...said, detail: { ...said?.detail, ...detail } }) as Said;
    const [created, vote, dispatch] = life;
    return [
      ...(created === undefined ? [] : [created]),
      {
        ...{ actor: editor, action: 'approval.edit', subjectKind: 'approval', subjectId: 'apr_tsk_1_1' },
        detail: { task: 'tsk_1', ...moved },
      },
      { ...of(vote, { digest: moved.digest }), actor: approver, subjectId: 'apr_tsk_1_2' },
      of(dispatch, { approvalId: 'apr_tsk_1_2', digest: moved.digest }),
    ];
  };

  test.each<[string, Said[]]>([
    ['approved', life],
    ['approved by two', two],
    ['voided and approved again', aLife({ id: 'tsk_1', ending: 'voided' })],
    ['retried under the approval that stands', aLife({ id: 'tsk_1', ending: 'retried' })],
    ['edited, and approved by another than the editor', edited('prn_admin', 'prn_operator')],
    [
      'of a release that did not name the approval with the task',
      changed(life, 'task.create', { approvalId: null }),
    ],
    [
      'opened by breaking the glass, by two people',
      aLife({ id: 'tsk_1', people: ['prn_operator', 'prn_admin'], required: 2 }).map((said) =>
        said.action === 'approval.approve' ? { ...said, action: 'approval.break-glass' } : said,
      ),
    ],
  ])('not one that was %s', (_what, all) => {
    expect(kindsOf(all)).toEqual([]);
  });

  test.each<[string, Said[], number]>([
    ['nobody decided', without(life, 'approval.approve'), 2],
    ['was never proposed', without(life, 'task.create'), 2],
    ['is for another content', changed(life, 'task.dispatch', { digest: 'f'.repeat(64) }), 3],
    ['was approved for another content', changed(life, 'approval.approve', { digest: 'f'.repeat(64) }), 3],
    ['names another approval', changed(life, 'task.dispatch', { approvalId: 'apr_other' }), 3],
    ['the requester approved', aLife({ id: 'tsk_1', people: ['prn_requester'] }), 3],
    ['its requester approved under the agent of their own', owned, 4],
    ['one approved where two were asked for', aLife({ id: 'tsk_1', required: 2 }), 3],
    [
      'one approved twice where two were asked for',
      aLife({ id: 'tsk_1', people: ['prn_operator', 'prn_operator'] }),
      4,
    ],
    ['comes before the decision', life.toSpliced(1, 2, ...life.slice(1, 3).reverse()), 2],
    ['was rejected', [...aLife({ id: 'tsk_1', ending: 'rejected' }), ...life.slice(2)], 3],
    ['was voided and not approved again', aLife({ id: 'tsk_1', ending: 'voided' }).toSpliced(3, 1), 4],
    [
      'was cancelled',
      life.toSpliced(2, 0, { actor: 'x', action: 'task.cancel', subjectKind: 'task', subjectId: 'tsk_1' }),
      4,
    ],
    [
      'was edited after the approval',
      life.toSpliced(2, 0, {
        ...{
          actor: 'prn_operator',
          action: 'approval.edit',
          subjectKind: 'approval',
          subjectId: 'apr_tsk_1_1',
        },
        detail: { task: 'tsk_1', digest: 'e'.repeat(64) },
      }),
      4,
    ],
    ['was edited and approved by the editor', edited('prn_operator', 'prn_operator'), 4],
    [
      'was refused a decision',
      life.map((said) =>
        said.action === 'approval.approve' ? { ...said, outcome: 'refused' as const } : said,
      ),
      3,
    ],
  ])('one that %s', (_what, all, chainNo) => {
    expect(kindsOf(all)).toEqual([`dispatch-without-decision ${chainNo}`]);
  });

  test('an export that begins later does not judge what began before it', () => {
    const rest = chain.slice(30);
    const report = verifyLines(anExport(rest, [], { fromChainNo: 31, installation: at(1).hash }));
    expect(report).toMatchObject({ intact: true, from: 31, to: 60, dispatches: 10, unjudged: 0 });
    const middle = verifyLines(anExport(chain.slice(31), [], { fromChainNo: 32, installation: at(1).hash }));
    expect(middle).toMatchObject({ intact: true, dispatches: 9, unjudged: 1 });
  });
});

describe('any chain', () => {
  const life = fc.record({
    people: fc.constantFrom(['prn_operator'], ['prn_admin'], ['prn_operator', 'prn_admin']),
    ending: fc.constantFrom('dispatched', 'rejected', 'voided', 'retried', 'waiting'),
  }) as fc.Arbitrary<Pick<Life, 'people' | 'ending'>>;
  const chains = fc
    .array(life, { minLength: 2, maxLength: 12 })
    .map((all) => aChain(all.flatMap((each, index) => aLife({ id: `tsk_${index}`, ...each }))));
  const texts = [
    'at',
    'actor',
    'action',
    'subjectKind',
    'subjectId',
    'outcome',
    'opKey',
    'body',
    'result',
  ] as const;
  const place = fc.nat(10_000);

  /** The chain with an anchor on its last entry, and an export of what became of it. */
  const verified = (original: AuditEntry[], touched: AuditEntry[]) => {
    const last = original.at(-1) as AuditEntry;
    const lines = anExport(touched, [anAnchor(original, last.chainNo)], {
      installation: original[0]?.hash ?? null,
      head: { chainNo: last.chainNo, hash: last.hash },
    });
    return verifyLines(lines);
  };

  test('that nobody touched is intact, at every length', () => {
    fc.assert(
      fc.property(chains, (entries) => {
        expect(verified(entries, entries).findings).toEqual([]);
      }),
    );
  });

  test('with one altered text is not, and the row is named', () => {
    fc.assert(
      fc.property(
        chains,
        place,
        fc.constantFrom(...texts, 'prevHash' as const, 'hash' as const),
        fc.boolean(),
        (entries, where, name, again) => {
          const index = where % entries.length;
          const entry = entries[index] as AuditEntry;
          const changed = { ...entry, [name]: `${entry[name].slice(0, -1)}~` };
          const touched = again && name !== 'hash' ? rehashed(changed) : changed;
          const { findings } = verified(entries, entries.with(index, touched));
          const numbers = findings.map(({ chainNo }) => chainNo);
          expect(numbers).toContain(entry.chainNo);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('with one row removed is not, and the row is named, renumbered or not', () => {
    fc.assert(
      fc.property(chains, place, fc.boolean(), (entries, where, again) => {
        const index = where % entries.length;
        const rest = entries.toSpliced(index, 1);
        const { findings } = verified(entries, again ? renumbered(rest) : rest);
        const kind = index === entries.length - 1 ? 'cut-off' : 'removed';
        expect(findings).toContainEqual(expect.objectContaining({ kind, chainNo: index + 1 }));
      }),
      { numRuns: 300 },
    );
  });

  test('with one row inserted is not, and the row is named, well hashed or not', () => {
    fc.assert(
      fc.property(chains, place, fc.boolean(), (entries, where, isHashed) => {
        const index = where % entries.length;
        const row = anEntry(forged, index + 1, entries[index - 1]?.hash ?? beforeFirst);
        const given = isHashed ? row : { ...row, hash: 'd'.repeat(64) };
        const { findings } = verified(entries, renumbered(entries.toSpliced(index, 0, given)));
        expect(findings).toContainEqual(expect.objectContaining({ kind: 'inserted', chainNo: index + 1 }));
      }),
      { numRuns: 300 },
    );
  });

  test('with two rows swapped is not, and one of them is named', () => {
    fc.assert(
      fc.property(chains, place, place, (entries, one, other) => {
        const [a, b] = [one % entries.length, other % entries.length];
        fc.pre(a !== b);
        const [first, second] = [entries[a] as AuditEntry, entries[b] as AuditEntry];
        const touched = entries
          .with(a, { ...second, chainNo: first.chainNo })
          .with(b, { ...first, chainNo: second.chainNo });
        const { findings } = verified(entries, touched);
        const swapped = findings.filter(({ kind }) => kind === 'swapped').map(({ chainNo }) => chainNo);
        expect([first.chainNo, second.chainNo]).toEqual(expect.arrayContaining(swapped));
        expect(swapped).not.toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('whose end was cut off is not, at whatever row', () => {
    fc.assert(
      fc.property(chains, place, (entries, where) => {
        const length = where % entries.length;
        const { findings } = verified(entries, entries.slice(0, length));
        expect(findings).toContainEqual(expect.objectContaining({ kind: 'cut-off', chainNo: length + 1 }));
      }),
      { numRuns: 200 },
    );
  });

  test('in which one dispatch lost its decision is not, even when the chain was made anew', () => {
    fc.assert(
      fc.property(chains, place, (entries, where) => {
        const used = entries.filter(({ action }) => action === 'task.dispatch').map(({ body }) => body);
        const votes = entries.filter(
          ({ action, subjectId }) =>
            action === 'approval.approve' && used.some((body) => body.includes(subjectId)),
        );
        fc.pre(votes.length > 0);
        const vote = votes[where % votes.length] as AuditEntry;
        const rest = rechained(entries.filter((entry) => entry !== vote));
        const report = verifyLines(anExport(rest, []));
        expect(report.findings.map(({ kind }) => kind)).toContain('dispatch-without-decision');
      }),
      { numRuns: 200 },
    );
  });
});
