import { compileFilter } from './event-filter.ts';
import { isOpenType } from './event-source.ts';
import { severities } from './events.ts';
import type { Json } from './json.ts';
import { isRefusal, refuse, type Refusal } from './refusal.ts';
import { matchesEvent } from './subscription.ts';
import { pathProblem, templateProblem } from './template.ts';
import { countRoots, type EmitSpec, templateRoots, type Wormhole, type WormholeAction } from './wormhole.ts';

/** Refuses a wormhole that could not work, or that would feed itself, before it is stored. */
export function checkWormhole(draft: Pick<Wormhole, 'name' | 'match' | 'action'>): Refusal | null {
  const { match, action } = draft;
  if (match.filter !== undefined) {
    const filter = compileFilter(match.filter);
    if (isRefusal(filter)) return filter;
  }
  return checkTemplates(action) ?? checkEmit(draft);
}

function checkTemplates(action: WormholeAction): Refusal | null {
  const { texts, roots } = templatesOf(action);
  const problem = templateProblem(texts, roots);
  const ofKey =
    action.kind === 'aggregate' && action.key !== undefined ? pathProblem(action.key, templateRoots) : null;
  const found = problem ?? ofKey;
  return found === null ? null : refuse('INVALID', `action: ${found}.`);
}

function templatesOf(action: WormholeAction): { texts: Json; roots: readonly string[] } {
  const parts = (...texts: (Json | undefined)[]): Json => texts.filter((text) => text !== undefined);
  const ofEmit = ({ destination, payload }: EmitSpec): Json => parts(destination, payload);
  switch (action.kind) {
    case 'notify':
      return { texts: parts(action.title, action.text), roots: templateRoots };
    case 'create-task': {
      const { title, target, fingerprint, payload } = action.task;
      return { texts: parts(title, target, fingerprint, payload), roots: templateRoots };
    }
    case 'transform':
      return { texts: ofEmit(action.emit), roots: templateRoots };
    case 'aggregate':
      return { texts: ofEmit(action.emit), roots: [...templateRoots, ...countRoots] };
    case 'log':
    case 'trigger-halo':
    case 'forward':
      return { texts: [], roots: templateRoots };
  }
}

function checkEmit({ name, match, action }: Pick<Wormhole, 'name' | 'match' | 'action'>): Refusal | null {
  if (action.kind !== 'transform' && action.kind !== 'aggregate') return null;
  const { emit } = action;
  // Such an event says what was decided or done here, and no rule makes that up.
  if (!isOpenType(emit.type))
    return refuse(
      'INVALID',
      `action.emit.type: events of the type ${emit.type} are written by this system only; use a type of your own.`,
    );
  if (match.filter !== undefined || !meetsItself(name, match, emit)) return null;
  return refuse(
    'INVALID',
    `This wormhole would take what it emits: ${emit.type} from system:wormhole:${name} meets its own match. ` +
      'Name the types it takes so that they leave this one out, exclude the source type system, or add a filter.',
    { type: emit.type },
  );
}

/** Decided without a filter: type, source, severity and destination of what it emits are known beforehand. */
function meetsItself(name: string, match: Wormhole['match'], emit: EmitSpec): boolean {
  const loudest = emit.severity ?? severities.at(-1) ?? 'critical';
  const emitted = {
    type: emit.type,
    severity: loudest,
    sourceType: 'system',
    sourceId: `wormhole:${name}`,
  } as const;
  return (
    matchesEvent(match, emitted) &&
    (match.destination === undefined ||
      emit.destination === undefined ||
      emit.destination === match.destination)
  );
}
