import net from 'node:net';
import { openDatabase } from '../../db/client.ts';

/** A way to the database that can be closed and opened again, as a server that is restarted. */
export async function aDoor(databaseUrl: string) {
  const target = new URL(databaseUrl);
  const sockets = new Set<net.Socket>();
  const proxy = net.createServer((inside) => {
    sockets.add(inside);
    inside.on('close', () => sockets.delete(inside)).on('error', () => undefined);
    const outside = net.connect(Number(target.port), target.hostname);
    outside.on('error', () => inside.destroy()).on('close', () => inside.destroy());
    inside.on('close', () => outside.destroy());
    inside.pipe(outside);
    outside.pipe(inside);
  });
  const listen = (port: number) => new Promise<void>((resolve) => proxy.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = proxy.address() as net.AddressInfo;
  const cut = (): void => sockets.forEach((socket) => socket.destroy());
  const url = new URL(databaseUrl);
  url.port = String(port);
  const through = openDatabase(url.href, { name: 'test', connections: 3 });
  const shut = async (): Promise<void> => {
    const closed = new Promise((resolve) => proxy.close(resolve));
    cut();
    await closed;
  };
  async function close(): Promise<void> {
    await through.close();
    if (proxy.listening) await shut();
  }
  return {
    url: url.href,
    through,
    cut,
    shut,
    open: () => listen(port),
    close,
  };
}
