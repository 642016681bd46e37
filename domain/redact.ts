const mark = '[redacted]';

/** Shapes of secrets that people and programs put into texts by mistake. */
const shapes: readonly [RegExp, string][] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, mark],
  [/\bdn_[a-z]{2,8}_[0-9A-Za-z]{12}_[0-9A-Za-z_]{20,}/g, mark],
  [/\bwhsec_[A-Za-z0-9+/=_-]{16,}/g, mark],
  [/\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|AKIA)[A-Za-z0-9_-]{10,}/g, mark],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?/g, mark],
  [/\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${mark}`],
  [/(\/api(?:\/v\d+)?\/webhooks\/\d+\/)[\w-]+/g, `$1${mark}`],
  [/(:\/\/)[^\s/@:]+:[^\s/@]+@/g, `$1${mark}@`],
  [
    /((?:password|passwd|pwd|secret|token|api[-_]?key|access[-_]?key|credentials?)["']?\s*[=:]\s*)(?!\[redacted\])(?:"[^"]*"|'[^']*'|[^\s,;&]+)/gi,
    `$1${mark}`,
  ],
];

/** A text for a mirror outside: what looks like a secret is blanked (K41: mirrors get redacted metadata only). */
export function redactText(text: string): string {
  return shapes.reduce((kept, [shape, instead]) => kept.replace(shape, instead), text);
}

/** Blanks known secrets wherever a text of somebody else repeats them, as they are or as base64 would show them. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const known = secrets.filter((secret) => secret.length > 0);
  return known.reduce((kept, secret) => kept.replaceAll(secret, mark), text);
}
