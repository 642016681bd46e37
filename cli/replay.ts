import { visible } from './escape.ts';
import type { Exit } from './exits.ts';
import { instant, linkLine, marked } from './format.ts';
import { pathId } from './ids.ts';
import { look } from './look.ts';
import { facts, type Output, table } from './output.ts';
import { bodyOf, type Session, show, showItem } from './session.ts';
import { pause } from './stop.ts';
import type { Replay, ReplayDiff, ReplayPreview, ShadowAnswer } from './replay-views.ts';

const everyMs = 1_000;

/** What of a replay a person wants to know on one line. */
export function progressLine({ id, state, progress }: Replay): string {
  const { queued, completed, failed, allQueued } = progress;
  const of = `${completed + failed} of ${queued}${allQueued ? '' : ' so far'}`;
  return visible(`${id}  ${state}  ${of} handed over${failed === 0 ? '' : `, ${failed} failed`}`);
}

export function describeReplay(out: Output, replay: Replay): string[] {
  const { progress } = replay;
  return [
    ...facts(out, [
      ['replay', replay.id],
      ['state', replay.state],
      ['into', replay.subscription],
      ['select', JSON.stringify(replay.select)],
      ['side effects', replay.sideEffects ? 'yes' : 'none: only says what would be done'],
      ['selected', progress.selected],
      ['not matching', progress.notMatching === 0 ? null : progress.notMatching],
      ['queued', `${progress.queued}${progress.allQueued ? '' : ', more to come'}`],
      ['completed', progress.completed],
      ['failed', progress.failed],
      ['to come', progress.pending + progress.processing],
      ['taken back', progress.withdrawn === 0 ? null : progress.withdrawn],
      ['because', replay.because],
      ['reason', replay.reason],
      ['asked for', `${replay.requestedBy}, ${instant(replay.createdAt)}`],
      ['ended', replay.endedAt === null ? null : instant(replay.endedAt)],
    ]),
    linkLine(out, replay.temporal),
  ];
}

export function describePreview(out: Output, preview: ReplayPreview): string[] {
  const { count, more, first, last, matching, types } = preview;
  const one = (event: ReplayPreview['first']): string | null =>
    event === null ? null : `${event.id}, ${event.type}, ${instant(event.recordedAt)}`;
  return [
    ...facts(out, [
      ['events', `${count}${more ? ' and more: above the maximum, a start would be refused' : ''}`],
      ['matching', matching],
      ['first', one(first)],
      ['last', one(last)],
    ]),
    ...(types.length === 0
      ? []
      : table(
          out,
          ['TYPE', 'EVENTS'],
          types.map(({ type, count: n }) => [type, String(n)]),
        )),
  ];
}

/** Looks at a replay until it has ended, also past an API that is away; one that failed is no success of the command. */
export async function watchReplay(session: Session, id: string): Promise<Exit> {
  const { api, out, stop } = session;
  let before: string | null = null;
  for (;;) {
    const reply = await look(session, () => api.get(`/v1/replays/${pathId(id)}`), before === null);
    if (reply !== null) {
      const replay = bodyOf<Replay>(reply);
      if (replay.state !== 'running') {
        show(session, reply, () => describeReplay(out, replay));
        return replay.state === 'done' && replay.progress.failed === 0 ? 'ok' : 'unexpected';
      }
      const line = progressLine(replay);
      if (line !== before) showItem(session, replay, () => line);
      before = line;
    }
    await pause(everyMs, stop);
    stop.throwIfAborted();
  }
}

function describeDiff(out: Output, title: string, diff: ReplayDiff): string[] {
  const { counts } = diff;
  const rows = [
    ...diff.onlyAfter.map((one) => ({ sign: '+', one })),
    ...diff.onlyBefore.map((one) => ({ sign: '-', one })),
    ...diff.both.map((one) => ({ sign: ' ', one })),
  ].map(({ sign, one }) => [
    sign,
    one.kind,
    one.risk === undefined ? '' : marked(one.risk),
    one.title,
    one.target ?? '',
  ]);
  const head = `${title}: ${counts.onlyAfter} more, ${counts.onlyBefore} fewer, ${counts.both} the same`;
  return [
    out.paint('bold', head),
    ...(rows.length === 0 ? [] : table(out, ['', 'KIND', 'RISK', 'TITLE', 'TARGET'], rows)),
  ];
}

export function describeShadow(out: Output, said: ShadowAnswer): string[] {
  const window = `${instant(said.window.from)} to ${instant(said.window.to)}, ${said.events} events`;
  const body =
    said.kind === 'halo'
      ? [
          ...facts(out, [
            ['cycles that ran', said.cycles.recorded.count],
            ['by the present rule', said.cycles.present.count],
            ['by the changed rule', said.cycles.changed.count],
          ]),
          ...describeDiff(out, 'against what was proposed', said.tasks.againstRecorded),
          ...describeDiff(out, 'against the present rule', said.tasks.againstPresent),
        ]
      : describeDiff(out, 'outcomes', said.outcomes);
  return [
    ...facts(out, [
      ['window', window],
      ['complete', said.complete ? null : 'no: the window has more than one run reads'],
    ]),
    ...body,
    ...said.notReplayable.map((note) => out.paint('dim', visible(`not replayable: ${note}`))),
  ];
}
