import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

type Pair = { privateKey: CryptoKey; publicKey: CryptoKey; jwk: JWK };

export type OidcProvider = {
  issuer: string;
  audience: string;
  /** How often the keys were asked for. */
  asked: () => number;
  /** How the provider behaves: well, or as one of the faults. */
  behave: (as: 'well' | 'down' | 'huge' | 'redirect' | 'broken') => void;
  /** Puts a new key in the place of the RS256 one. */
  rotate: () => Promise<void>;
  /** The public key in the form that somebody who mistakes it for a shared secret would use. */
  publicJwk: (alg: string) => JWK;
  mint: (claims?: JWTPayload, header?: { alg?: string; kid?: string | null }) => Promise<string>;
  close: () => Promise<void>;
};

const algorithms = ['RS256', 'ES256', 'EdDSA', 'PS256'];

async function makePair(alg: string, kid: string): Promise<Pair> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid, use: 'sig', alg };
  return { privateKey, publicKey, jwk };
}

/** An identity provider on loopback: discovery, public keys, and tokens as one would issue them. */
export async function startOidcProvider(audience = 'dreamnet'): Promise<OidcProvider> {
  const pairs = new Map<string, Pair>();
  for (const alg of algorithms) pairs.set(alg, await makePair(alg, `kid-${alg}`));
  let behaviour = 'well';
  let asked = 0;
  let generation = 0;

  const server: Server = createServer((request, response) => {
    const json = (value: unknown): void => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(value));
    };
    if (request.url === '/.well-known/openid-configuration')
      return json({ issuer, jwks_uri: `${issuer}/keys` });
    if (request.url !== '/keys') return void response.writeHead(404).end();
    asked += 1;
    if (behaviour === 'down') return void response.writeHead(500).end();
    if (behaviour === 'redirect') return void response.writeHead(302, { location: `${issuer}/else` }).end();
    if (behaviour === 'huge') return void response.end(`{"keys":[],"x":"${'x'.repeat(400_000)}"}`);
    if (behaviour === 'broken') return json({ keys: 'none' });
    json({ keys: [...pairs.values()].map(({ jwk }) => jwk) });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const pairOf = (alg: string): Pair => {
    const pair = pairs.get(alg);
    if (pair === undefined) throw new Error(`no key for ${alg}`);
    return pair;
  };

  return {
    issuer,
    audience,
    asked: () => asked,
    behave: (as) => {
      behaviour = as;
    },
    rotate: async () => {
      generation += 1;
      pairs.set('RS256', await makePair('RS256', `kid-RS256-${generation}`));
    },
    publicJwk: (alg) => pairOf(alg).jwk,
    mint: (claims = {}, { alg = 'RS256', kid = pairOf(alg).jwk.kid ?? null } = {}) => {
      const seconds = Math.floor(Date.now() / 1000);
      const payload = { iss: issuer, aud: audience, sub: 'kim', iat: seconds, exp: seconds + 300, ...claims };
      return new SignJWT(payload)
        .setProtectedHeader({ alg, ...(kid === null ? {} : { kid }) })
        .sign(pairOf(alg).privateKey);
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
