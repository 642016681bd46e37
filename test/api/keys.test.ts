import { describe, expect, test } from 'vitest';
import { agentSecret } from '../../db/signing-secret.ts';
import { hashSecret, isSecretOf, mintKey } from '../../api/keys.ts';
import { parseKey } from '../../domain/key.ts';

const pepper = 'pepper';

describe('a minted key', () => {
  test('reads back as its id and its secret', () => {
    const { id, key, hash } = mintKey(pepper);
    const parsed = parseKey(key);
    expect(parsed?.id).toBe(id);
    expect(hashSecret(pepper, parsed?.secret ?? '')).toBe(hash);
    expect(key).toMatch(/^dn_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{43}_[0-9a-f]{8}$/);
  });

  test('is never made twice', () => {
    const keys = new Set(Array.from({ length: 500 }, () => mintKey(pepper).key));
    expect(keys.size).toBe(500);
  });

  test('cannot be read from what is stored', () => {
    const { key, hash } = mintKey(pepper);
    expect(key).not.toContain(hash);
    expect(parseKey(hash)).toBeNull();
  });
});

describe('a secret', () => {
  const { key, hash } = mintKey(pepper);
  const secret = parseKey(key)?.secret ?? '';

  test('fits its own hash under its own pepper only', () => {
    expect(isSecretOf(pepper, secret, hash)).toBe(true);
    expect(isSecretOf('another', secret, hash)).toBe(false);
    expect(isSecretOf(pepper, `${secret}x`, hash)).toBe(false);
  });

  test('of an unknown key fits nothing', () => {
    expect(isSecretOf(pepper, secret, null)).toBe(false);
    expect(isSecretOf(pepper, secret, '')).toBe(false);
  });
});

test('the secret of an HTTP agent follows from the root and its id', () => {
  expect(agentSecret('root', 'agt_1')).toBe(agentSecret('root', 'agt_1'));
  expect(agentSecret('root', 'agt_1')).not.toBe(agentSecret('root', 'agt_2'));
  expect(agentSecret('root', 'agt_1')).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
});
