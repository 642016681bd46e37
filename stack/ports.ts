import { createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { StackError } from './error.ts';

function tryListen(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => {
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  });
}

export function findFreePort(host = '127.0.0.1'): Promise<number> {
  return tryListen(host, 0);
}

export function portTaken(port: number, what: string, variable: string): StackError {
  return new StackError(
    `port ${port}, wanted for ${what}, is in use by another program. ` +
      `Stop that program, or choose another port: ${variable}=<port> (0 means any free port).`,
  );
}

type PortWish = { host: string; port: number; what: string; variable: string; waitMs?: number };

/** The port to use: the one wished for when it is free, any free one for 0. */
export async function claimPort({ host, port, what, variable, waitMs = 0 }: PortWish): Promise<number> {
  const until = Date.now() + waitMs;
  for (;;) {
    try {
      return await tryListen(host, port);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EADDRINUSE') {
        if (Date.now() >= until) throw portTaken(port, what, variable);
        await wait(100);
        continue;
      }
      if (code === 'EACCES') {
        throw new StackError(
          `port ${port}, wanted for ${what}, may not be used by this user. Choose one from 1024 to 65535: ${variable}=<port>.`,
        );
      }
      if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
        throw new StackError(
          `${host} is not an address of this machine, so ${what} cannot listen there. Set DREAMNET_HOST to one of its addresses, for example 127.0.0.1.`,
        );
      }
      throw error;
    }
  }
}
