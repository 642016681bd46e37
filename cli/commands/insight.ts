import type { CommandDef } from 'citty';
import { entityLinkKinds, insightPatterns } from '../../domain/insight.ts';
import { command } from '../command.ts';
import { visible } from '../escape.ts';
import { hintMore, instant, marked, pageArgs } from '../format.ts';
import { pathId } from '../ids.ts';
import type { InsightDetail, InsightView, LinkView } from '../insight-views.ts';
import { facts, type Output, table } from '../output.ts';
import { bodyOf, show } from '../session.ts';
import type { Page } from '../views.ts';

const mostShown = 3;

function entityList(entities: string[]): string {
  const more = entities.length - mostShown;
  return `${entities.slice(0, mostShown).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

const figureText = (figures: Record<string, unknown>): string =>
  Object.entries(figures)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');

function describe(out: Output, insight: InsightDetail): string[] {
  const lines = facts(out, [
    ['insight', insight.id],
    ['title', insight.title],
    ['pattern', insight.pattern],
    ['severity', insight.severity],
    ['figures', figureText(insight.figures)],
    ['found', `${instant(insight.foundAt)} by ${insight.foundBy}`],
    ['last seen', `${instant(insight.lastSeenAt)} by ${insight.lastSeenBy}`],
    ['ended', insight.endedAt === null ? 'it holds' : instant(insight.endedAt)],
  ]);
  const cycles = insight.usedBy.map(({ id, mode, state, startedAt }) => [
    id,
    mode,
    state,
    instant(startedAt),
  ]);
  return [
    ...lines,
    ...insight.entities.map((entity) => `about: ${visible(entity)}`),
    ...insight.suggestedActions.map((action) => `do: ${visible(action)}`),
    ...(cycles.length === 0
      ? ['No cycle was changed by it.']
      : table(out, ['USED BY', 'MODE', 'STATE', 'STARTED'], cycles)),
  ];
}

const listCommand = command({
  name: 'list',
  about: 'Insights that hold; with --state those that ended too',
  args: {
    state: { type: 'enum', options: ['open', 'ended', 'any'], description: 'open unless given' },
    pattern: { type: 'enum', options: [...insightPatterns], description: 'Of this pattern' },
    entity: { type: 'string', valueHint: 'KIND:ID', description: 'About this entity' },
    ...pageArgs,
  },
  run: async (session, { state, pattern, entity, limit, cursor }) => {
    const reply = await session.api.get('/v1/insights', { state, pattern, entity, limit, cursor });
    const page = bodyOf<Page<InsightView>>(reply);
    const rows = page.items.map((insight) => [
      ...[insight.id, marked(insight.severity), insight.title, entityList(insight.entities)],
      ...[instant(insight.foundAt), insight.endedAt === null ? '' : instant(insight.endedAt)],
    ]);
    const heads = ['ID', 'SEVERITY', 'TITLE', 'ENTITIES', 'FOUND', 'ENDED'];
    show(session, reply, () => (rows.length === 0 ? ['No insights.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

const showCommand = command({
  name: 'show',
  about: 'One insight, what to do about it, and the cycles that it changed',
  args: { id: { type: 'positional', required: true, description: 'Insight' } },
  run: async (session, { id }) => {
    const reply = await session.api.get(`/v1/insights/${pathId(id)}`);
    show(session, reply, () => describe(session.out, bodyOf<InsightDetail>(reply)));
    return 'ok';
  },
});

const linksCommand = command({
  name: 'links',
  about: 'Entities that fail together or resemble each other, the strongest first',
  args: {
    entity: { type: 'positional', required: false, description: 'KIND:ID, such as endpoint:prb_1' },
    kind: { type: 'enum', options: [...entityLinkKinds], description: 'Of this kind' },
    ...pageArgs,
  },
  run: async (session, { entity, kind, limit, cursor }) => {
    const reply = await session.api.get('/v1/links', { entity, kind, limit, cursor });
    const page = bodyOf<Page<LinkView>>(reply);
    const rows = page.items.map((link) => [
      ...[link.from, link.to, link.kind, link.weight.toFixed(2), figureText(link.figures)],
    ]);
    const heads = ['FROM', 'TO', 'KIND', 'WEIGHT', 'FIGURES'];
    show(session, reply, () => (rows.length === 0 ? ['No links.'] : table(session.out, heads, rows)));
    hintMore(session, page);
    return 'ok';
  },
});

export const insightCommands: Record<string, CommandDef> = {
  list: listCommand,
  show: showCommand,
  links: linksCommand,
};
