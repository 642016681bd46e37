import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { port: { type: 'string' }, 'pid-file': { type: 'string' } } });
const pidFile = values['pid-file'];
if (values.port === undefined || pidFile === undefined) {
  process.stderr.write('Usage: node demo/shop.ts --port PORT --pid-file FILE\n');
  process.exit(2);
}

// Lives in the memory of this process: only a real restart repairs it.
let isBroken = false;

const server = createServer((request, response) => {
  const answer = (status: number, body: object): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const asked = `${request.method} ${request.url}`;
  if (asked === 'POST /break') {
    isBroken = true;
    answer(200, { broken: true });
  } else if (asked === 'GET /health') {
    answer(isBroken ? 503 : 200, { ok: !isBroken });
  } else {
    answer(404, { error: 'GET /health and POST /break are all there is' });
  }
});

server.listen(Number(values.port), '127.0.0.1', () => {
  writeFileSync(pidFile, String(process.pid));
  process.stdout.write(`${JSON.stringify({ ready: true, port: Number(values.port), pid: process.pid })}\n`);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(signal, () => {
    // A pid that is no longer ours must not be found, and killed, by anyone.
    rmSync(pidFile, { force: true });
    process.exit(0);
  });
