import type { CommandDef } from 'citty';
import { sourceTypes } from '../../domain/events.ts';
import { replayStates } from '../../domain/replay.ts';
import { command } from '../command.ts';
import { hintMore, instant, marked, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import { readList, readNumber, readObject } from '../input.ts';
import { table } from '../output.ts';
import { checkFlags, isAgreed, previewArgs } from '../preview.ts';
import { usage } from '../problem.ts';
import { describePreview, describeReplay, describeShadow, progressLine, watchReplay } from '../replay.ts';
import { bodyOf, exitFor, type Session, show } from '../session.ts';
import type { Page } from '../views.ts';
import type { Replay, ReplayDelivery, ReplayPreview, ShadowAnswer } from '../replay-views.ts';

const id = { type: 'positional', required: true, description: 'Replay' } as const;
/** Ten thousand events or more are read for the answer. */
const readingMs = 120_000;

const windowArgs = {
  from: {
    type: 'string',
    valueHint: 'TIME',
    description: 'Recorded from then on, such as 2026-01-31T08:00:00Z',
  },
  to: { type: 'string', valueHint: 'TIME', description: 'Recorded until then' },
} as const;

const startCommand = command({
  name: 'start',
  about:
    'Hand recorded events to a subscription again; without --side-effects it only says what would be done',
  args: {
    subscription: { type: 'positional', required: true, description: 'Subscription' },
    id: { type: 'string', valueHint: 'ID,ID', description: 'These events' },
    thread: { type: 'string', valueHint: 'ID', description: 'Of this correlation id' },
    type: { type: 'string', valueHint: 'TYPE', description: 'Of this type, or beginning with it: shop.*' },
    'source-type': { type: 'enum', options: [...sourceTypes], description: 'From such a source' },
    'source-id': { type: 'string', valueHint: 'ID', description: 'From this source' },
    ...windowArgs,
    'only-matching': { type: 'boolean', description: 'Leave out what the subscription does not want' },
    'side-effects': { type: 'boolean', description: 'Really do it again; for admins' },
    'per-minute': { type: 'string', valueHint: 'N', description: 'Rate; 6000 unless given' },
    maximum: { type: 'string', valueHint: 'N', description: 'Most events; 10000 unless given' },
    reason: { type: 'string', valueHint: 'TEXT', description: 'Why' },
    ...previewArgs,
    watch: { type: 'boolean', description: 'Stay until it has ended' },
  },
  run: async (session, args) => {
    const { subscription, preview, yes, watch } = args;
    const select = Object.fromEntries(
      Object.entries({
        ids: args.id === undefined ? undefined : readList(args.id),
        ...{ correlationId: args.thread, type: args.type, sourceType: args['source-type'] },
        ...{ sourceId: args['source-id'], from: args.from, to: args.to },
      }).filter(([, value]) => value !== undefined),
    );
    if (Object.keys(select).length === 0)
      throw usage('Say which events: --id, --thread, --type, --source-type, --source-id, --from or --to.');
    if (!preview && (args.reason ?? '').trim() === '')
      throw usage('--reason is missing; the audit keeps it.');
    checkFlags(session, { preview, yes });
    const wanted = {
      ...{ subscription, select, onlyMatching: args['only-matching'] === true },
      sideEffects: args['side-effects'] === true,
      perMinute: readNumber('per-minute', args['per-minute']),
      maximum: readNumber('maximum', args.maximum),
    };
    const shown = await session.api.post('/v1/replays', { ...wanted, preview: true }, {}, readingMs);
    const { count, selection } = bodyOf<ReplayPreview>(shown);
    const lines = () => describePreview(session.out, bodyOf<ReplayPreview>(shown));
    if (preview) {
      show(session, shown, lines);
      return 'ok';
    }
    if (!session.out.json) for (const line of lines()) session.out.line(line);
    const question = `hand these ${count} to ${subscription} again?`;
    if (!(await isAgreed(session, { yes, question, undone: 'Nothing was started' }))) return 'usage';
    const reply = await session.api.post('/v1/replays', { ...wanted, selection, reason: args.reason });
    const replay = bodyOf<Replay>(reply);
    if (watch) return watchReplay(session, replay.id);
    show(session, reply, () => describeReplay(session.out, replay));
    session.out.hint(`Follow it: dreamnet replay watch ${replay.id}`);
    return 'ok';
  },
});

const listCommand = command({
  name: 'list',
  about: 'Replays, newest first',
  args: {
    subscription: { type: 'string', valueHint: 'KEY', description: 'Into this subscription only' },
    state: { type: 'enum', options: [...replayStates], description: 'In this state only' },
    ...pageArgs,
  },
  run: async (session, { subscription, state, limit, cursor }) => {
    const reply = await session.api.get('/v1/replays', { subscription, state, limit, cursor });
    const page = bodyOf<Page<Replay>>(reply);
    const heads = ['ID', 'STATE', 'INTO', 'QUEUED', 'COMPLETED', 'FAILED', 'SIDE EFFECTS', 'STARTED'];
    const rows = page.items.map(({ progress, ...one }) => [
      ...[one.id, marked(one.state), one.subscription, String(progress.queued), String(progress.completed)],
      ...[String(progress.failed), one.sideEffects ? 'yes' : 'no', instant(one.createdAt)],
    ]);
    show(session, reply, () => (rows.length === 0 ? ['No replays.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

const showCommand = command({
  name: 'show',
  about: 'One replay; with --deliveries each of its events and what would have been done',
  args: { id, deliveries: { type: 'boolean', description: 'Each event' }, ...pageArgs },
  run: async (session, args) => {
    if (args.deliveries) return showDeliveries(session, args);
    const reply = await session.api.get(`/v1/replays/${pathId(args.id)}`);
    show(session, reply, () => describeReplay(session.out, bodyOf<Replay>(reply)));
    return 'ok';
  },
});

async function showDeliveries(
  session: Session,
  args: { id: string; limit?: string | undefined; cursor?: string | undefined },
) {
  const { limit, cursor } = args;
  const reply = await session.api.get(`/v1/replays/${pathId(args.id)}/deliveries`, { limit, cursor });
  const page = bodyOf<Page<ReplayDelivery>>(reply);
  const heads = ['EVENT', 'TYPE', 'RECORDED', 'STATE', 'WOULD'];
  const rows = page.items.map((one) => [
    ...[one.eventId, one.eventType ?? '(forgotten)', instant(one.recordedAt), marked(one.state)],
    one.error ?? (one.previews ?? []).map(({ would }) => would).join('; '),
  ]);
  show(session, reply, () => (rows.length === 0 ? ['No events.'] : table(session.out, heads, rows)));
  hintMore(session, page);
  return 'ok' as const;
}

const cancelCommand = command({
  name: 'cancel',
  about: 'End a replay; what nobody has begun is taken back',
  args: { id, reason: { type: 'string', valueHint: 'TEXT', description: 'Why' } },
  run: async (session, args) => {
    const reply = await session.api.post(`/v1/replays/${pathId(args.id)}/cancel`, { reason: args.reason });
    show(session, reply, () => [
      reply.status === 202 ? `${args.id}  on its way` : progressLine(bodyOf<Replay>(reply)),
    ]);
    return exitFor(session, reply);
  },
});

const watchCommand = command({
  name: 'watch',
  about: 'Stay with a replay until it has ended',
  args: { id },
  run: (session, args) => watchReplay(session, args.id),
});

const shadowCommand = command({
  name: 'shadow',
  about: 'Try a changed rule on a window of the log: what it would propose, and what not; nothing is done',
  args: {
    ...windowArgs,
    halo: {
      type: 'string',
      valueHint: 'JSON',
      description: 'What changes of the HALO rule: JSON, @file or -',
    },
    draft: { type: 'string', valueHint: 'JSON', description: 'A wormhole: JSON, @file or -' },
    wormhole: { type: 'string', valueHint: 'ID', description: 'The stored wormhole to compare with' },
  },
  run: async (session, { from, to, halo, draft, wormhole }) => {
    if (from === undefined || to === undefined) throw usage('--from and --to say which window.');
    if ((halo === undefined) === (draft === undefined && wormhole === undefined))
      throw usage('Give either --halo with what changes, or --draft and/or --wormhole.');
    const body =
      halo === undefined
        ? {
            ...{ kind: 'wormhole', from, to, wormholeId: wormhole },
            draft: draft === undefined ? undefined : await readObject('draft', draft),
          }
        : { kind: 'halo', from, to, rule: await readObject('halo', halo) };
    const reply = await session.api.post('/v1/replays/shadow', body, {}, readingMs);
    show(session, reply, () => describeShadow(session.out, bodyOf<ShadowAnswer>(reply)));
    return 'ok';
  },
});

export const replayCommands: Record<string, CommandDef> = {
  start: startCommand,
  list: listCommand,
  show: showCommand,
  cancel: cancelCommand,
  watch: watchCommand,
  shadow: shadowCommand,
};
