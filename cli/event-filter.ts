import type { ArgsDef, ParsedArgs } from 'citty';
import { severities, sourceTypes } from '../domain/events.ts';
import type { Query } from './http.ts';
import { usage } from './problem.ts';

/** Options that choose events. */
export const eventFilters = {
  type: {
    type: 'string',
    valueHint: 'TYPE',
    description: 'Only this type; a * at its end takes all that begin so',
  },
  severity: { type: 'enum', options: [...severities], description: 'Only this severity' },
  'min-severity': { type: 'enum', options: [...severities], description: 'This severity, and graver ones' },
  source: { type: 'string', valueHint: 'TYPE[:ID]', description: 'Only from this source' },
  destination: { type: 'string', valueHint: 'ID', description: 'Only what is for this one' },
  thread: { type: 'string', valueHint: 'ID', description: 'Only with this correlation id' },
} as const satisfies ArgsDef;

export function eventQuery(args: ParsedArgs<typeof eventFilters>): Query {
  const { type, severity, source, destination, thread } = args;
  return {
    ...{ type, severity, minSeverity: args['min-severity'], destination, correlationId: thread },
    ...(source === undefined ? {} : sourceQuery(source)),
  };
}

/** TYPE or TYPE:ID as the members of a query. */
export function sourceQuery(text: string): Query {
  const [type = '', ...rest] = text.split(':');
  if (!(sourceTypes as readonly string[]).includes(type))
    throw usage(
      `--source is "${text}"; it has to be TYPE or TYPE:ID with one of the types ${sourceTypes.join(', ')}.`,
    );
  return { sourceType: type, sourceId: rest.length === 0 ? undefined : rest.join(':') };
}
