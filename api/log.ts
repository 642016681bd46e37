import { type DestinationStream, type Logger, pino } from 'pino';
import { plainLine } from '../domain/log-line.ts';

/** The log of an API process: one JSON object on each line, whatever it is given. */
export function createLog(level: string, to: DestinationStream): Logger {
  return pino({ level, base: { process: 'api' }, hooks: { streamWrite: plainLine } }, to);
}
