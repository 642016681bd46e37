import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readMessages, type SseMessage } from '../../cli/sse.ts';

async function read(chunks: Uint8Array[]): Promise<SseMessage[]> {
  async function* body(): AsyncGenerator<Uint8Array> {
    yield* chunks;
  }
  const messages: SseMessage[] = [];
  for await (const message of readMessages(body())) messages.push(message);
  return messages;
}
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const text = [
  'retry: 2000\nid: c0\n\n',
  'id: c1\nevent: event\ndata: {"text":"é😀"}\n\n',
  ': heartbeat\nid: c2\n\n',
  'event: end\ndata: {"reason":\ndata: "restart"}\r\n\r\n',
].join('');
const expected = [
  { id: 'c0', event: 'message', data: '' },
  { id: 'c1', event: 'event', data: '{"text":"é😀"}' },
  { id: 'c2', event: 'message', data: '' },
  { id: null, event: 'end', data: '{"reason":\n"restart"}' },
];

test('messages are read with their id, name and data', async () => {
  expect(await read([bytes(text)])).toEqual(expected);
});

test('however the bytes are cut, also inside a character', async () => {
  const whole = bytes(text);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: whole.length }), { maxLength: 8 }), async (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), whole.length];
      const chunks = places.slice(1).map((to, at) => whole.slice(places[at], to));
      expect(await read(chunks)).toEqual(expected);
    }),
  );
});

test('a message that is cut off at the end is none', async () => {
  expect(
    await read([bytes('id: c1\nevent: event\ndata: {}\n\nid: c2\nevent: event\ndata: {"half"')]),
  ).toEqual([{ id: 'c1', event: 'event', data: '{}' }]);
});
