import type { JsonObject } from './json.ts';

/** Every expected "no" of the system has one of these codes; the API maps each to one HTTP status. */
export const refusalCodes = [
  'INVALID',
  'NOT_FOUND',
  'FORBIDDEN',
  'CONFLICT',
  'STALE',
  'EXPIRED',
  'LIMIT',
] as const;
export type RefusalCode = (typeof refusalCodes)[number];

export type Refusal = { refused: RefusalCode; message: string; details?: JsonObject };

/** A refusal is a value: it says what was refused, where, what is allowed and what to do next. */
export function refuse(refused: RefusalCode, message: string, details?: JsonObject): Refusal {
  return details === undefined ? { refused, message } : { refused, message, details };
}

/** True for the value `refuse` makes, false for every other result. */
export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && 'refused' in value;
}

/** A refusal on its way through code that can only throw: database verbs, activities and the API. */
export class DomainError extends Error {
  readonly code: RefusalCode;
  readonly details: JsonObject | undefined;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.name = 'DomainError';
    this.code = refusal.refused;
    this.details = refusal.details;
  }

  toRefusal(): Refusal {
    return refuse(this.code, this.message, this.details);
  }
}
