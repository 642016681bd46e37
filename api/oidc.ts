import { decodeProtectedHeader, errors, type JSONWebKeySet, jwtVerify, type JWTPayload } from 'jose';
import { isTrustedUrl } from '../domain/config.ts';
import { createJwks, fetchJson } from './jwks.ts';
import { ProblemError } from './problems.ts';

/** Fixed here, so that neither a setting nor a token widens it: signatures of public keys only. */
const algorithms = ['RS256', 'ES256', 'EdDSA'];

/** Who logged in, as `<issuer>|<sub>`, and when. */
export type Login = { subject: string; loginAtMs: number };
export type Oidc = { verify: (token: string) => Promise<Login> };

export type OidcSettings = {
  issuer: string;
  audience: string;
  /** Found at the issuer where it is not given. */
  jwksUrl: string | null;
  now: () => number;
};

/** Whether a bearer text has the three parts of a signed token. */
export function looksLikeToken(text: string): boolean {
  return /^[\w-]+\.[\w-]*\.[\w-]*$/.test(text);
}

/** Checks tokens of one identity provider; what is wrong with one is said without quoting it. */
export function createOidc(settings: OidcSettings): Oidc {
  const { issuer, audience, now } = settings;
  const findKey = createJwks(async () => readJwks(settings.jwksUrl ?? (await discover(issuer))), now);
  return {
    async verify(token) {
      requireKnownHeader(token);
      const { payload } = await jwtVerify(token, findKey, {
        algorithms,
        issuer,
        audience,
        // No tolerance: a token is refused from the second on that it names.
        clockTolerance: 0,
        currentDate: new Date(now()),
        requiredClaims: ['sub', 'iat', 'exp'],
      }).catch((error: unknown) => {
        throw explain(error);
      });
      return loginOf(payload, issuer, now());
    },
  };
}

/** A key id and one of our algorithms, before anything is fetched for the token. */
function requireKnownHeader(token: string): void {
  let header;
  try {
    header = decodeProtectedHeader(token);
  } catch {
    throw refused('This is neither a key nor a login of the identity provider.');
  }
  if (!algorithms.includes(header.alg ?? ''))
    throw refused(`This login is signed in a way that does not count; allowed: ${algorithms.join(', ')}.`);
  if (typeof header.kid !== 'string' || header.kid === '')
    throw refused('This login does not say which key signed it (kid).');
}

function loginOf(payload: JWTPayload, issuer: string, nowMs: number): Login {
  const { sub = '', iat = 0, auth_time: authTime } = payload;
  if (sub === '' || sub.length > 255 || /\p{Cc}/u.test(sub)) throw refused('This login names nobody (sub).');
  const seconds = typeof authTime === 'number' ? authTime : iat;
  // A provider whose clock runs ahead must not make a login fresher than now.
  return { subject: `${issuer}|${sub}`, loginAtMs: Math.min(seconds * 1000, nowMs) };
}

async function discover(issuer: string): Promise<string> {
  const url = `${issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`;
  const found = (await fetchJson(url)) as { issuer?: unknown; jwks_uri?: unknown } | null;
  if (found?.issuer !== issuer || typeof found.jwks_uri !== 'string' || !isTrustedUrl(found.jwks_uri))
    throw new ProblemError(
      'UNAVAILABLE',
      `${url} does not speak for ${issuer}, or names no https address for its keys.`,
    );
  return found.jwks_uri;
}

async function readJwks(url: string): Promise<JSONWebKeySet> {
  return (await fetchJson(url)) as JSONWebKeySet;
}

/** The words are ours: the library's own can hold parts of what was sent. */
function explain(error: unknown): unknown {
  if (error instanceof ProblemError) return error;
  if (error instanceof errors.JWTExpired) return refused('This login has expired; log in again.');
  if (error instanceof errors.JWTClaimValidationFailed)
    return refused(
      claimTexts[error.claim] ?? `This login has no usable ${error.claim.replaceAll(/[^a-z_]/g, '')}.`,
    );
  if (error instanceof errors.JOSEError) return refused('The signature of this login does not hold.');
  return error;
}

const claimTexts: Record<string, string | undefined> = {
  iss: 'This login comes from another issuer than the one set here.',
  aud: 'This login was made for another audience than this API.',
  nbf: 'This login is not valid yet.',
};

function refused(message: string): ProblemError {
  return new ProblemError('UNAUTHENTICATED', message);
}
