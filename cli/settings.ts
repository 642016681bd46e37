import { join, resolve } from 'node:path';

/** What the environment says; the options of a command go before it. */
export type Settings = {
  url: string;
  key: string | null;
  keyFile: string | null;
  /** Where the first start left a key for each of the two first people. */
  keysDir: string;
  color: boolean;
};

export function readSettings(env: Readonly<Record<string, string | undefined>>, root: string): Settings {
  const dataDir = env.DREAMNET_DATA_DIR ? resolve(env.DREAMNET_DATA_DIR) : join(root, '.dreamnet');
  return {
    url: env.DREAMNET_URL || 'http://127.0.0.1:8080',
    key: env.DREAMNET_KEY || null,
    keyFile: env.DREAMNET_KEY_FILE || null,
    keysDir: join(dataDir, 'keys'),
    color: !env.NO_COLOR && env.TERM !== 'dumb',
  };
}
