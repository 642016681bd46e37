import { once } from 'node:events';
import net from 'node:net';
import { isPublicAddress, publicLookup, refuseAddress } from './guarded-fetch.ts';

/** A connection to somewhere else for protocols other than HTTP, with the same check of the address at connect. */
export async function guardedConnect(given: {
  host: string;
  port: number;
  allowPrivateNetwork: boolean;
  signal: AbortSignal;
}): Promise<net.Socket> {
  const { port, allowPrivateNetwork, signal } = given;
  const host = given.host.replace(/^\[|\]$/g, '');
  // A literal address is connected to without a lookup.
  if (!allowPrivateNetwork && net.isIP(host) !== 0 && !isPublicAddress(host))
    throw refuseAddress(given.host, host);
  const socket = net.connect({ host, port, ...(allowPrivateNetwork ? {} : { lookup: publicLookup }) });
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
