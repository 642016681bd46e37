import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { superviseChild, type Child } from '../stack/child.ts';
import type { StackConfig } from '../stack/config.ts';
import type { Log } from '../stack/log.ts';
import { findFreePort } from '../stack/ports.ts';
import { startStack, type Stack } from '../stack/start.ts';
import { borrowTemporal } from './given-temporal.ts';
import { createCaller, type Caller } from './http.ts';
import { connectTemporal, type Temporal } from './temporal.ts';
import { createUntil, isRunning, type Until } from './watch.ts';

export type StageInput = {
  config: StackConfig;
  log: Log;
  /** Ends what is under way. */
  signal: AbortSignal;
  onFatal: (reason: Error) => void;
};

export type AgentIdentity = { id: string; key: string; taskQueue: string };

/** Everything the story is played on: the stack, and the two processes beside it that it watches and uses. */
export type Stage = {
  stack: Stack;
  temporal: Temporal;
  admin: Caller;
  operator: Caller;
  as: (key: string) => Caller;
  until: Until;
  shop: { url: string; start: () => Promise<void>; pid: () => number | null };
  startAgent: (agent: AgentIdentity) => Promise<void>;
  /** The keys of the calls whose effect the agent has noted, in its order. */
  effects: () => string[];
  close: () => Promise<Started[]>;
};

export type Started = { name: string; pid: number };

export async function openStage(input: StageInput): Promise<Stage> {
  const { config, log, signal, onFatal } = input;
  const folder = config.dataDir;
  const borrowed = config.temporal.kind === 'given' ? await borrowTemporal(config.temporal.variables) : null;
  const stack = await startStack({ config, log, signal });
  void stack.failed.then(onFatal);
  const temporal = await connectTemporal({ config, stack, signal }).catch(async (error: unknown) => {
    await stack.stop();
    throw error;
  });
  const { postgres, ...others } = stack.pids();
  const started: Started[] = [];
  const note = (name: string, pid: number | null): void => {
    if (pid !== null && !started.some((known) => known.pid === pid)) started.push({ name, pid });
  };
  for (const [name, pid] of Object.entries({ postgres, ...others })) note(name, pid);

  const children: Child[] = [];
  const port = await findFreePort();
  const shopPidFile = join(folder, 'shop.pid');
  const doneFile = join(folder, 'agent-done.jsonl');
  const shopPid = (): number | null => {
    const pid = existsSync(shopPidFile) ? Number(readFileSync(shopPidFile, 'utf8')) : null;
    note('shop', pid);
    return pid;
  };

  async function startChild(
    name: string,
    options: Record<string, string>,
    env: Record<string, string>,
    onEnd: (reason: Error) => void,
  ): Promise<void> {
    const child = await superviseChild({
      name,
      command: process.execPath,
      args: [
        join(import.meta.dirname, `${name}.ts`),
        ...Object.entries(options).flatMap(([option, value]) => [`--${option}`, value]),
      ],
      env: () => env,
      logFolder: stack.logs,
      log,
      restart: false,
      onFatal: onEnd,
      signal,
    });
    children.push(child);
    note(name, child.pid());
  }

  const as = (key: string): Caller => createCaller({ api: stack.urls.api, key, signal });
  const withKeyIn = (file: string): Caller => as(readFileSync(file, 'utf8').trim());
  return {
    stack,
    temporal,
    admin: withKeyIn(stack.keys.admin),
    operator: withKeyIn(stack.keys.operator),
    as,
    until: createUntil(signal),
    shop: {
      url: `http://127.0.0.1:${port}`,
      pid: shopPid,
      // The agent ends this process when it restarts the shop, so its end is no failure.
      start: () => startChild('shop', { port: String(port), 'pid-file': shopPidFile }, {}, () => {}),
    },
    startAgent({ id, key, taskQueue }) {
      const keyFile = join(folder, 'agent.key');
      writeFileSync(keyFile, key, { mode: 0o600 });
      const options = {
        api: stack.urls.api,
        'agent-id': id,
        'key-file': keyFile,
        'task-queue': taskQueue,
        'done-file': doneFile,
        'shop-port': String(port),
        'shop-pid-file': shopPidFile,
      };
      return startChild('agent', options, stack.temporal, onFatal);
    },
    effects: () =>
      existsSync(doneFile)
        ? readFileSync(doneFile, 'utf8')
            .trim()
            .split('\n')
            .map((line) => (JSON.parse(line) as { key: string }).key)
        : [],
    async close() {
      for (const [name, pid] of Object.entries(stack.pids())) note(name, pid);
      shopPid();
      // The agent first: it ends the shop it started.
      for (const child of children.toReversed()) await child.drain();
      const shop = shopPid();
      if (shop !== null && isRunning(shop)) process.kill(shop, 'SIGKILL');
      await temporal.close();
      await stack.stop();
      await borrowed?.giveBack();
      return started;
    },
  };
}
