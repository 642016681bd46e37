type Activities = Record<string, (input: never) => Promise<unknown>>;

/**
 * Lets only one local activity of a run be in flight. Two at once end in separate activations live but in one on
 * replay, and what their handlers do next comes out in another order: the run could not be replayed. A recorded history
 * (haloLoop.trigger, task.race) guards this.
 */
export function takeTurns(): <A extends object>(activities: A) => A {
  let last: Promise<unknown> = Promise.resolve();
  const turn = (call: () => Promise<unknown>): Promise<unknown> => {
    const mine = last.then(call);
    last = mine.catch(() => undefined);
    return mine;
  };
  return <A extends object>(activities: A) =>
    new Proxy(activities, {
      get: (target, name: string) => (input: never) =>
        turn(() => callNamed(target as unknown as Activities, name, input)),
    });
}

function callNamed(activities: Activities, name: string, input: never): Promise<unknown> {
  const activity = activities[name];
  if (activity === undefined) throw new TypeError(`There is no activity ${name}.`);
  return activity(input);
}
