/** What the worker was told to watch besides the record; all of it by configuration, nothing by request. */
export type Watched = {
  envFiles: string[];
  hosts: string[];
  healthUrls: string[];
  allowPrivateNetwork: boolean;
  disks: string[];
  builds: string[];
  lockFiles: string[];
  /** Who answers for it; without somebody findings are reported only. */
  owner: string | null;
};

export const nothingWatched: Watched = {
  envFiles: [],
  hosts: [],
  healthUrls: [],
  allowPrivateNetwork: false,
  disks: [],
  builds: [],
  lockFiles: [],
  owner: null,
};
