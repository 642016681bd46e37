import type { Tier } from './tier.ts';

/** A cluster is a part of the API that can be switched off, kept for a feature, and limited; each tag is one. */
export type Cluster = {
  name: string;
  enabled: boolean;
  /** Only tiers with this feature get in. */
  requiredFeature: string | null;
  /** What one principal may ask of this cluster in a minute; the stricter of this and the tier's limit counts. */
  perMinute: number | null;
  reason: string | null;
  updatedBy: string | null;
};

/** Whoever switches these off could not switch anything on again, or stop what runs wild. */
export const alwaysOn: readonly string[] = ['health', 'control', 'kill-switch'];

/** A part of the API that nobody has said anything about is open. */
export function openCluster(name: string): Cluster {
  return { name, enabled: true, requiredFeature: null, perMinute: null, reason: null, updatedBy: null };
}

export type Denial = { because: 'switched-off' | 'missing-feature'; message: string };

/** Why a tier does not get into a cluster, or null; no principal and no tier gets past a switch. */
export function admit(cluster: Cluster, tier: Tier): Denial | null {
  if (alwaysOn.includes(cluster.name)) return null;
  const { name, requiredFeature, reason, updatedBy } = cluster;
  if (!cluster.enabled)
    return {
      because: 'switched-off',
      message: `${name} is switched off by ${updatedBy ?? 'nobody known'}: ${reason ?? 'no reason given'}. An admin switches it on with \`dreamnet control set ${name} --on\`.`,
    };
  if (requiredFeature !== null && !tier.features.includes(requiredFeature))
    return {
      because: 'missing-feature',
      message: `${name} is open to tiers with the feature "${requiredFeature}"; your tier ${tier.name} has: ${tier.features.join(', ') || 'none'}. An admin can give you another tier.`,
    };
  return null;
}
