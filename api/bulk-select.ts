import type { ApprovalRow } from '../db/approvals.ts';
import { type InboxFilter, type InboxPlace, listInbox, placeOf } from '../db/inbox.ts';
import type { Decision } from '../domain/approval.ts';
import { mostAtOnce } from '../domain/bulk.ts';
import { scopesOf } from '../domain/scope.ts';
import type { ApiDeps, Asker } from './context.ts';
import { type Judge, judgeFor } from './inbox-judge.ts';

export type LeftOut = { id: string; title: string | null; why: string };
export type Selection = {
  rows: { row: ApprovalRow; whyNot: string | null }[];
  leftOut: LeftOut[];
  /** There are further ones behind the last: they come with the next selection. */
  more: boolean;
};

export type Wanted = {
  decision: Decision;
  filter: InboxFilter | null;
  ids: string[] | null;
  except: string[];
};

const mostLooked = 2_000;

/**
 * The approvals that a bulk decision is about. A filter takes what the caller may decide, and never high risk for an
 * approval: that one is looked at by itself, or named by its id. Ids that are named are all tried.
 */
export async function selectFor(deps: ApiDeps, asker: Asker, wanted: Wanted): Promise<Selection> {
  const judge = await judgeFor(deps, asker);
  const { ids } = wanted;
  return ids === null ? byFilter(deps, asker, wanted, judge) : byIds(deps, asker, { ...wanted, ids }, judge);
}

function whyNotOf(row: ApprovalRow, decision: Decision, judge: Judge): string | null {
  const { allowedActions, whyNot } = judge.judge(row);
  return allowedActions.includes(decision) ? null : (whyNot ?? `This cannot be answered with ${decision}.`);
}

async function byFilter(deps: ApiDeps, asker: Asker, wanted: Wanted, judge: Judge): Promise<Selection> {
  const { decision, except } = wanted;
  const filter: InboxFilter = {
    ...wanted.filter,
    state: 'open',
    scopes: scopesOf(asker.principal, 'approvals:read'),
  };
  const rows: Selection['rows'] = [];
  const leftOut: LeftOut[] = [];
  let after: InboxPlace | null = null;
  for (let looked = 0; looked < mostLooked; looked += mostAtOnce) {
    const page: ApprovalRow[] = await listInbox(deps.database.db, filter, {
      ...{ sort: 'oldest', after, limit: mostAtOnce },
    });
    for (const row of page) {
      if (except.includes(row.id)) continue;
      const whyNot =
        decision === 'approve' && row.risk === 'high'
          ? 'Its risk is high: approve it by itself, or name its id.'
          : whyNotOf(row, decision, judge);
      if (whyNot !== null) leftOut.push({ id: row.id, title: row.title, why: whyNot });
      else if (rows.length === mostAtOnce) return { rows, leftOut, more: true };
      else rows.push({ row, whyNot });
    }
    const last = page.at(-1);
    if (last === undefined || page.length < mostAtOnce) return { rows, leftOut, more: false };
    after = placeOf('oldest', last);
  }
  return { rows, leftOut, more: true };
}

async function byIds(
  deps: ApiDeps,
  asker: Asker,
  wanted: Wanted & { ids: string[] },
  judge: Judge,
): Promise<Selection> {
  const ids = [...new Set(wanted.ids)].filter((id) => !wanted.except.includes(id));
  const found = await listInbox(
    deps.database.db,
    { ids, scopes: scopesOf(asker.principal, 'approvals:read') },
    { sort: 'oldest', after: null, limit: mostAtOnce },
  );
  const known = new Set(found.map(({ id }) => id));
  const unknown = ids
    .filter((id) => !known.has(id))
    .map((id) => ({ id, title: null, why: `There is no approval ${id}.` }));
  const settled = found
    .filter(({ state }) => state !== 'open')
    .map(({ id, title, state }) => ({ id, title, why: `It is already ${state}.` }));
  const rows = found
    .filter(({ state }) => state === 'open')
    .map((row) => ({ row, whyNot: whyNotOf(row, wanted.decision, judge) }));
  return { rows, leftOut: [...unknown, ...settled], more: false };
}
