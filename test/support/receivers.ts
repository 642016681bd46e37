import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Webhook } from 'standardwebhooks';

export type Received = { path: string; query: URLSearchParams; headers: IncomingHttpHeaders; body: string };
type Say = (response: ServerResponse, received: Received) => void;

export type Receiver = {
  url: string;
  received: Received[];
  /** What the next requests are answered, one each; afterwards as the receiver does by itself. */
  next: Say[];
  close(): Promise<void>;
};

async function startReceiver(usual: Say): Promise<Receiver> {
  const received: Received[] = [];
  const next: Say[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const url = new URL(request.url ?? '/', 'http://receiver');
      const one = { path: url.pathname, query: url.searchParams, headers: request.headers, body };
      received.push(one);
      (next.shift() ?? usual)(response, one);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    next,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export const answer =
  (status: number, headers: Record<string, string> = {}, body = ''): Say =>
  (response) =>
    void response.writeHead(status, headers).end(body);

export const silence: Say = () => undefined;

/** Checks a request as the receiver of a signed webhook does, with the library of the standard; throws when it is not ours. */
export function verified(secret: string, { headers, body }: Received): unknown {
  return new Webhook(secret).verify(body, headers as Record<string, string>);
}

/** An endpoint that takes what is signed with its secret and refuses everything else. */
export function startWebhookReceiver(secret: () => string): Promise<Receiver> {
  return startReceiver((response, received) => {
    try {
      verified(secret(), received);
      response.writeHead(204).end();
    } catch {
      response.writeHead(401).end();
    }
  });
}

type Embed = Record<string, unknown> & { title?: string; description?: string; fields?: { value: string }[] };

/** A webhook as Discord has it: 204, or the message with its id where `?wait=true` asks for it; limits are enforced. */
export function startDiscord(path: string): Promise<Receiver> {
  let messages = 1_000_000_000_000_000_000n;
  return startReceiver((response, received) => {
    const json = (status: number, body: unknown): void =>
      void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (received.path !== path) return json(404, { message: 'Unknown Webhook', code: 10_015 });
    const { embeds = [] } = JSON.parse(received.body) as { embeds?: Embed[] };
    const isTooLong = embeds.some(
      ({ title = '', description = '', fields = [] }) =>
        title.length > 256 ||
        description.length > 4096 ||
        fields.length > 25 ||
        fields.some(({ value }) => value.length > 1024 || value.length === 0),
    );
    if (embeds.length === 0 || isTooLong) return json(400, { message: 'Invalid Form Body', code: 50_035 });
    if (received.query.get('wait') !== 'true') return void response.writeHead(204).end();
    messages += 1n;
    return json(200, { id: String(messages), type: 0, embeds });
  });
}

/** The 429 that Discord sends: seconds in the header, and more exactly in the body. */
export function discordRateLimit(seconds: number): Say {
  const body = JSON.stringify({
    message: 'You are being rate limited.',
    retry_after: seconds,
    global: false,
  });
  return answer(
    429,
    {
      'content-type': 'application/json',
      'retry-after': String(Math.ceil(seconds)),
      'x-ratelimit-remaining': '0',
    },
    body,
  );
}
