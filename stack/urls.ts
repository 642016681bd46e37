/** Where a person on this machine opens the API. */
export function apiUrls(host: string, port: number): { api: string; docs: string } {
  const anyAddress = host === '0.0.0.0' || host === '::';
  const name = anyAddress ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return { api: `http://${name}:${port}`, docs: `http://${name}:${port}/docs` };
}
