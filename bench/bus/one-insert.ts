type Append<Input, Stored> = (inputs: Input[]) => Promise<Stored[]>;

/** What stands in the place of the API's own writer in the process that is compared with it: one INSERT per event. */
export function createEventWriter<Input, Stored>(
  append: Append<Input, Stored>,
): (input: Input) => Promise<Stored> {
  return async (input) => {
    const [stored] = await append([input]);
    if (stored === undefined) throw new Error('the log answered for no event');
    return stored;
  };
}
