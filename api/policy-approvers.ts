import type { Db } from '../db/client.ts';
import { knownApprovers } from '../db/policies.ts';
import { checkApprovers, namedApprovers, type PolicyInput } from './routes/policy-input.ts';
import { throwRefusal } from './problems.ts';

/** Refuses a policy that names roles or groups which nobody has, or which may not decide. */
export async function requireApprovers(db: Db, text: Pick<PolicyInput, 'match' | 'rule'>): Promise<void> {
  const asked = namedApprovers(text);
  const refusal = checkApprovers(asked, await knownApprovers(db, asked));
  if (refusal !== null) throwRefusal(refusal);
}
