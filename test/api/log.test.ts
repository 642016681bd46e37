import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLog as createApiLog } from '../../api/log.ts';
import { describeError } from '../../api/problems.ts';
import { createLog as createWorkerLog } from '../../workers/log.ts';

const evil = 'a\r\nb\u001b[2Jc\u009b31md\u2028e\u2029f\u0000g\u007f{"level":60}\n';
// eslint-disable-next-line no-control-regex
const obeyed = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/;

/** What a logger writes, and the lines it makes of it. */
function keep() {
  let text = '';
  return {
    write: (part: string) => void (text += part),
    lines: () => text.split('\n').slice(0, -1),
    text: () => text,
  };
}

type Write = (message: string, members: Record<string, unknown>) => void;
const loggers: [string, (to: { write(part: string): void }) => Write][] = [
  [
    'API',
    (to) => {
      const log = createApiLog('info', to);
      return (message, members) => log.info(members, message);
    },
  ],
  [
    'worker',
    (to) => {
      const log = createWorkerLog('info', to);
      return (message, members) => log.info(message, members);
    },
  ],
];

describe.each(loggers)('TRUST 4.48: log lines of the %s are one JSON object each', (_who, create) => {
  test('whatever the message, a name, a value or an error holds', () => {
    const kept = keep();
    const write = create(kept);
    const error = Object.assign(new Error(evil), { code: evil });
    write(evil, { path: evil, [evil]: evil, deep: { list: [evil] }, err: describeError(error), raw: error });
    expect(kept.lines()).toHaveLength(1);
    expect(kept.text()).not.toMatch(obeyed);
    const line = JSON.parse(kept.lines()[0] ?? '') as Record<string, unknown>;
    expect(line).toMatchObject({ msg: evil, path: evil, [evil]: evil, deep: { list: [evil] } });
  });

  test('for any text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 200 }),
        fc.string({ unit: 'binary' }),
        (message, value) => {
          const kept = keep();
          create(kept)(message, { value });
          const lines = kept.lines();
          expect(lines).toHaveLength(1);
          expect(kept.text()).not.toMatch(obeyed);
          expect(JSON.parse(lines[0] ?? '')).toMatchObject({ value: value.toWellFormed() });
        },
      ),
    );
  });
});
