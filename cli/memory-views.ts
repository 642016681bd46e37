/** What the API tells of memory. */
export type MemoryGenes = {
  entity: string;
  traits: Record<string, number>;
  tags: string[];
  parent: string | null;
};

export type MemoryRecord = MemoryGenes & { kind: string; dna: string; createdAt: string; updatedAt: string };

export type MemoryHistory = {
  at: string;
  cause: string;
  eventId: string | null;
  moves: Record<string, { from: number; to: number }>;
};

export type MemoryImport = {
  preview: boolean;
  created: string[];
  replaced: string[];
  same: string[];
  conflicts: string[];
};
