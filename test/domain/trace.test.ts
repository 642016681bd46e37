import { describe, expect, test } from 'vitest';
import { formatTrace, parseTrace } from '../../domain/trace.ts';

const id = '4bf92f3577b34da6a3ce929d0e0e4736';
const span = '00f067aa0ba902b7';

describe('a traceparent', () => {
  test.each([
    ['of version 00', `00-${id}-${span}-01`, '01'],
    ['that is not sampled', `00-${id}-${span}-00`, '00'],
    ['of a later version that says more', `cc-${id}-${span}-01-what-comes`, '01'],
  ])('%s is taken over', (_what, header, flags) => {
    expect(parseTrace(header, undefined)).toEqual({ traceId: id, flags, state: null });
  });

  test.each([
    ['none', undefined],
    ['an empty one', ''],
    ['one in capitals', `00-${id.toUpperCase()}-${span}-01`],
    ['one of version ff', `ff-${id}-${span}-01`],
    ['one of version 00 that goes on', `00-${id}-${span}-01-more`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${span}-01`],
    ['a span id of zeros', `00-${id}-${'0'.repeat(16)}-01`],
    ['a short trace id', `00-${id.slice(1)}-${span}-01`],
    ['one with a line break', `00-${id}-${span}-01\n`],
  ])('%s is not', (_what, header) => {
    expect(parseTrace(header, 'a=b')).toBeNull();
  });

  test('brings its tracestate with it, unless that is too long or not printable', () => {
    const state = (text: string) => parseTrace(`00-${id}-${span}-01`, text)?.state;
    expect(state('vendor=abc,other=1')).toBe('vendor=abc,other=1');
    expect(state('x'.repeat(513))).toBeNull();
    expect(state('a=\n')).toBeNull();
  });

  test('goes on under the span of this system', () => {
    expect(formatTrace({ traceId: id, spanId: span, flags: '01', state: null })).toBe(`00-${id}-${span}-01`);
  });
});
