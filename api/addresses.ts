import ipaddr from 'ipaddr.js';
import type { ApiContext } from './context.ts';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = [Address, number];

/** Where the address is not known, as for a request that came through no socket. */
export const unknownAddress = 'unknown';

const maxForwarded = 20;

/**
 * Tells who sends a request. Only the socket says that; X-Forwarded-For counts as far as trusted proxies wrote it, read
 * from its end. Throws for a proxy that is no address.
 */
export function createAddressOf(trustedProxies: readonly string[]): (c: ApiContext) => string {
  const trusted = trustedProxies.map(readRange);
  return (c) => {
    let address = read(socketAddress(c));
    const forwarded = (c.req.header('x-forwarded-for') ?? '').split(',').slice(-maxForwarded);
    while (address !== null && isWithin(address, trusted) && forwarded.length > 0) {
      const before = read(forwarded.pop()?.trim());
      if (before === null) break;
      address = before;
    }
    return address === null ? unknownAddress : nameOf(address);
  };
}

function socketAddress(c: ApiContext): string | undefined {
  const env = c.env as { incoming?: { socket?: { remoteAddress?: string } } } | undefined;
  return env?.incoming?.socket?.remoteAddress;
}

function read(text: string | undefined): Address | null {
  const plain = text?.replace(/%.*$/, '');
  // "process" turns ::ffff:1.2.3.4 into the IPv4 address it is.
  return plain !== undefined && ipaddr.isValid(plain) ? ipaddr.process(plain) : null;
}

/** One customer of a provider has a whole /64 of IPv6, so that is what counts as one address. */
function nameOf(address: Address): string {
  if (address.kind() === 'ipv4' || address.range() === 'loopback') return address.toString();
  const network = ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/64`);
  return `${network.toString()}/64`;
}

function readRange(text: string): Range {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  const address = read(text);
  if (address === null)
    throw new Error(
      `DREAMNET_TRUSTED_PROXIES: "${text}" is neither an address nor a range such as 10.0.0.0/8.`,
    );
  return [address, address.kind() === 'ipv4' ? 32 : 128];
}

function isWithin(address: Address, ranges: Range[]): boolean {
  return ranges.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
}

/** The form in which addresses are counted and blocked; null when the text is no address. */
export function normalAddress(text: string): string | null {
  const address = read(text.replace(/\/64$/, ''));
  return address === null ? null : nameOf(address);
}

/** The machine this runs on, whose own people sit behind this one address. */
export function isLoopback(address: string): boolean {
  return read(address)?.range() === 'loopback';
}
