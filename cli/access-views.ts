/** Answers about principals, their rights, and what stands between them and the API. */

export type Principal = {
  id: string;
  kind: string;
  name: string;
  role: string;
  owner: string | null;
  tier: string;
  oidcSubject: string | null;
  status: string;
  roleBy: string | null;
  roleSince: string;
};
export type Grant = {
  id: string;
  principalId: string;
  role: string;
  scope: string;
  reason: string;
  grantedBy: string;
  expiresAt: string | null;
  revokedAt: string | null;
};
export type Role = { name: string; description: string; permissions: string[]; builtIn: boolean };
export type Group = {
  name: string;
  description: string;
  members: { principalId: string; addedBy: string; addedAt: string }[];
};
export type Key = {
  id: string;
  label: string;
  scopes: string[] | null;
  expiresAt: string | null;
  revokedAt: string | null;
  lastUsedAt: string | null;
};
export type Me = {
  id: string;
  kind: string;
  name: string;
  role: string;
  person: string;
  tier: string;
  groups: string[];
  grants: Grant[];
  permissions: string[];
  agentId: string | null;
  key: { id: string; scopes: string[] | null; expiresAt: string | null } | null;
};

export type Cluster = {
  name: string;
  enabled: boolean;
  requiredFeature: string | null;
  perMinute: number | null;
  reason: string | null;
  updatedBy: string | null;
  alwaysOn: boolean;
};
export type Tier = {
  name: string;
  perMinute: number | null;
  eventsPerMinute: number | null;
  bytesPerMinute: number | null;
  features: string[];
};
type ShieldSubject = { kind: string; id: string; address: string | null };
export type Threat = {
  id: string;
  kind: string;
  subject: ShieldSubject;
  severity: string;
  count: number;
  state: string;
  lastAt: string;
};
export type Block = {
  id: string;
  subject: ShieldSubject;
  reason: string;
  placedBy: string;
  until: string;
  inForce: boolean;
};
