import { eventTypes, type LoggedEvent } from './events.ts';
import { type HaloTrigger, rememberedEvents, triggerOf } from './halo-loop.ts';

type TriggeringEvent = Pick<LoggedEvent, 'id' | 'type' | 'severity' | 'sourceType'>;

/** A batch of events becomes one trigger for its deploys and one for the rest; HALO's own events become none (K7, trap D10). */
export function triggersOf(events: TriggeringEvent[]): HaloTrigger[] {
  const foreign = events.filter(({ sourceType }) => sourceType !== 'halo');
  const isDeploy = ({ type, severity }: TriggeringEvent): boolean =>
    type === eventTypes.deployCompleted && severity !== 'critical';
  const idsOf = (some: TriggeringEvent[]): string[] => some.slice(-rememberedEvents).map(({ id }) => id);
  const deploys = foreign.filter(isDeploy);
  const others = foreign.filter((event) => !isDeploy(event));
  const urgent = others.some(({ severity }) => severity === 'critical');
  return [
    ...(deploys.length > 0 ? [triggerOf('deploy', { eventIds: idsOf(deploys) })] : []),
    ...(others.length > 0 ? [triggerOf('event', { urgent, eventIds: idsOf(others) })] : []),
  ];
}
