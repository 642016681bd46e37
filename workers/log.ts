import { DefaultLogger, type Logger } from '@temporalio/worker';
import { type DestinationStream, pino } from 'pino';
import { plainLine } from '../domain/log-line.ts';

const pinoLevels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

/** The log of a worker, the SDK's lines included: one JSON object on each line, whatever it is given. */
export function createLog(level: string, to: DestinationStream): Logger {
  const log = pino({ level, hooks: { streamWrite: plainLine } }, to);
  return new DefaultLogger('TRACE', ({ level: of, message, meta }) => {
    // The executors' and the bus's workers have none on purpose.
    if (message.startsWith('No workflows registered')) return;
    log[pinoLevels[of]](meta ?? {}, message);
  });
}
