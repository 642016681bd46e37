import type { EventWindow } from './event-window.ts';
import type { LoggedEvent } from './events.ts';
import type { Outcome } from './shadow.ts';
import type { ForwardTarget, Rule } from './wormhole.ts';
import { countInto, type Effect, type EmittedEvent, planEvent } from './wormhole-effect.ts';

/**
 * What a wormhole would bring about over recorded events, page by page in their order. Outcomes that a person would see
 * as one have one key: a proposal its fingerprint, all others the event they are for.
 */
export function simulateWormhole(rule: Rule | null): (events: LoggedEvent[]) => Outcome[] {
  const windows = new Map<string, EventWindow>();

  function emission(event: LoggedEvent, emitted: EmittedEvent, isNotice: boolean): Outcome {
    const { type, severity, destination } = emitted;
    return {
      key: `${event.id}|${type}|${severity}`,
      kind: isNotice ? 'notification' : 'event',
      title: `${type} (${severity})`,
      ...(destination === null ? {} : { target: destination }),
      eventIds: [event.id],
    };
  }

  function count({ wormhole }: Rule, event: LoggedEvent, key: string): Outcome[] {
    const full = countInto(windows, wormhole, key, event);
    return full === null ? [] : [{ ...emission(event, full.emitted, false), eventIds: full.window.eventIds }];
  }

  function outcomesOf(tried: Rule, event: LoggedEvent, effect: Effect): Outcome[] {
    const about = { key: event.id, eventIds: [event.id] };
    switch (effect.kind) {
      case 'log':
        return [{ ...about, kind: 'log', title: `${event.type} from ${event.sourceType}:${event.sourceId}` }];
      case 'emit':
        return [emission(event, effect.event, effect.isNotice)];
      case 'halo':
        return [
          { ...about, kind: 'halo-trigger', title: effect.urgent ? 'at once' : 'within the error window' },
        ];
      case 'forward':
        return [{ ...about, kind: 'forward', title: event.type, target: nameOf(effect.to) }];
      case 'count':
        return count(tried, event, effect.key);
      case 'task': {
        const { fingerprint, title, target } = effect.task;
        return [{ key: fingerprint, kind: 'task', title, target, eventIds: [event.id] }];
      }
    }
  }

  return (events) =>
    rule === null
      ? []
      : events.flatMap((event) => {
          const plan = planEvent(rule, event);
          return plan.outcome === 'acts' ? outcomesOf(rule, event, plan.effect) : [];
        });
}

function nameOf(to: ForwardTarget): string {
  return to.kind === 'webhook' ? to.origin : `subscription:${to.subscription}`;
}

/** What such a run cannot know, said with every answer. */
export const wormholeShadowLimits: readonly string[] = [
  'Counts begin empty at the start of the window; one that is not full at its end is left out.',
  'Proposals of one fingerprint are one, as if nobody decided in between.',
  'Which channels would be told, and what a kill switch would hold, is not looked at.',
];
