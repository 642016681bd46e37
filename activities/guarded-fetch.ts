import dns from 'node:dns';
import net from 'node:net';
import ipaddr from 'ipaddr.js';
import { Agent, buildConnector, fetch, type RequestInit, type Response } from 'undici';
import { DomainError, refuse } from '../domain/refusal.ts';

const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');

/** True for addresses that reach nothing but the public internet; everything special is refused (TRUST 4.40). */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast') return false;
  // Outside 2000::/3 there is no public IPv6, only forms that carry an IPv4 address such as ::127.0.0.1.
  return parsed instanceof ipaddr.IPv4 || parsed.match(globalUnicast);
}

/** The refusal of an address that is not public. */
export function refuseAddress(host: string, address: string): DomainError {
  return new DomainError(
    refuse(
      'FORBIDDEN',
      `${host} is at ${address}, which is not a public address; an admin can allow private addresses for it.`,
      { host, address },
    ),
  );
}

/** Checks the answer of the resolver in the connection itself: a second lookup could answer something else. */
export const publicLookup: net.LookupFunction = (hostname, options, callback) => {
  dns.lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, '', 0);
    const closed = addresses.find(({ address }) => !isPublicAddress(address));
    const first = addresses[0];
    if (closed !== undefined) return callback(refuseAddress(hostname, closed.address), '', 0);
    if (first === undefined) return callback(new Error(`${hostname} has no address`), '', 0);
    return options.all ? callback(null, addresses) : callback(null, first.address, first.family);
  });
};

const agents = {
  anywhere: new Agent({ connections: 64 }),
  public: new Agent({ connections: 64, connect: buildConnector({ lookup: publicLookup }) }),
};

export type GuardedRequest = {
  url: string;
  method: string;
  headers: Record<string, string>;
  body: string | null;
  timeoutMs: number;
  /** Longest body that is read, bytes. */
  maxBytes: number;
  allowPrivateNetwork: boolean;
  signal?: AbortSignal;
};
export type GuardedResponse = { status: number; headers: Record<string, string>; body: string; cut: boolean };

/** One HTTP request to somewhere else: address checked at connect, no redirects, capped in time and size. */
export async function guardedFetch(request: GuardedRequest): Promise<GuardedResponse> {
  const url = new URL(request.url);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new DomainError(refuse('INVALID', `${url.protocol} is not allowed; use http: or https:.`));
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  // undici skips a custom lookup for literal addresses, so they are checked here (TRUST 4.40).
  if (!request.allowPrivateNetwork && net.isIP(literal) !== 0 && !isPublicAddress(literal))
    throw refuseAddress(url.host, literal);
  const timeout = AbortSignal.timeout(request.timeoutMs);
  const init: RequestInit = {
    method: request.method,
    headers: request.headers,
    body: request.body,
    redirect: 'manual',
    signal: request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]),
    dispatcher: request.allowPrivateNetwork ? agents.anywhere : agents.public,
  };
  const response = await fetch(url, init);
  const { body, cut } = await readCapped(response, request.maxBytes);
  return { status: response.status, headers: Object.fromEntries(response.headers), body, cut };
}

async function readCapped(response: Response, maxBytes: number): Promise<{ body: string; cut: boolean }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (response.body !== null) {
    for await (const chunk of response.body) {
      const bytes = chunk as Uint8Array;
      chunks.push(bytes);
      size += bytes.byteLength;
      if (size > maxBytes) break;
    }
  }
  return { body: Buffer.concat(chunks).subarray(0, maxBytes).toString('utf8'), cut: size > maxBytes };
}

/** The reason inside undici's "fetch failed", in words for a person. */
export function explainFetchError(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error && cause.name === 'TimeoutError') return 'timed out';
  // A name with several addresses fails with one error for each, and none of its own.
  if (cause instanceof AggregateError && cause.message === '')
    return cause.errors.map((each) => explainFetchError(each)).join('; ');
  return cause instanceof Error ? cause.message : String(cause);
}

/** A refusal of the guard hidden inside a failed fetch, if there is one. */
export function refusalIn(error: unknown): DomainError | null {
  if (error instanceof DomainError) return error;
  if (error instanceof Error && error.cause instanceof DomainError) return error.cause;
  return null;
}
