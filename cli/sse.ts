/** One message of an event stream; data is empty for one that only moves the id on. */
export type SseMessage = { id: string | null; event: string; data: string };

/** Reads the messages of an event stream as they come; what is cut off at its end is no message. */
export async function* readMessages(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<SseMessage, undefined, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? '';
    for (const block of blocks) yield readMessage(block);
  }
}

function readMessage(block: string): SseMessage {
  const message: SseMessage = { id: null, event: 'message', data: '' };
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const at = line.indexOf(':');
    const name = at === -1 ? line : line.slice(0, at);
    const value = at === -1 ? '' : line.slice(at + 1).replace(/^ /, '');
    if (name === 'id') message.id = value;
    else if (name === 'event') message.event = value;
    else if (name === 'data') data.push(value);
  }
  return { ...message, data: data.join('\n') };
}
