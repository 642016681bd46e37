import { describe, expect, test } from 'vitest';
import { admit, alwaysOn, openCluster } from '../../domain/control.ts';
import { firstTiers, resolveTier } from '../../domain/tier.ts';

describe('a tier', () => {
  test.each([
    ['seed', 10],
    ['builder', 60],
    ['operator', 200],
    ['founder', 1000],
    ['unmetered', null],
  ])('%s allows %s requests a minute', (name, perMinute) => {
    expect(resolveTier(firstTiers, name).perMinute).toBe(perMinute);
  });

  test.each([undefined, '', 'Founder', 'platinum', 'unmetered ', '__proto__'])(
    'of the unknown name %j is the lowest, never an upgrade',
    (name) => {
      expect(resolveTier(firstTiers, name).name).toBe('seed');
      expect(resolveTier([...firstTiers].reverse(), name).name).toBe('seed');
    },
  );

  test('is still limited where no tier can be read', () => {
    expect(resolveTier([], 'unmetered')).toMatchObject({ name: 'seed', perMinute: 10 });
  });
});

describe('a part of the API', () => {
  const [tier = resolveTier([], undefined)] = firstTiers;
  const off = { ...openCluster('tasks'), enabled: false, reason: 'an audit', updatedBy: 'prn_admin' };

  test('that nobody has said anything about is open', () => {
    expect(admit(openCluster('tasks'), tier)).toBeNull();
  });

  test('that is switched off is so for every tier, and says why and by whom', () => {
    for (const each of firstTiers) {
      const denial = admit(off, each);
      expect(denial).toMatchObject({ because: 'switched-off' });
      expect(denial?.message).toContain('prn_admin');
      expect(denial?.message).toContain('an audit');
    }
  });

  test('that needs a feature is open to tiers that have it', () => {
    const beta = { ...openCluster('tasks'), requiredFeature: 'beta' };
    expect(admit(beta, tier)).toMatchObject({ because: 'missing-feature' });
    expect(admit(beta, { ...tier, features: ['alpha', 'beta'] })).toBeNull();
  });

  test.each(alwaysOn)('%s can never be closed', (name) => {
    expect(admit({ ...off, name, requiredFeature: 'none has it' }, tier)).toBeNull();
  });
});
