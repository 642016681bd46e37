/** Something that takes events or jobs and hands them to a handler: the bus, or one of its peers. */
export type Queue = {
  name: string;
  /** Puts one in; comes back once it is durable. */
  one: (number: number) => Promise<void>;
  /** Puts many in with one call. */
  many: (numbers: number[]) => Promise<void>;
  /** Begins to hand over, to a handler that does nothing but count. */
  consume: (onHandled: (count: number) => void) => Promise<Consumer>;
  /** Forgets what was put in and not handed over. */
  clear: () => Promise<void>;
  close: () => Promise<void>;
};

export type Consumer = { stop: () => Promise<void> };

/** The same for all of them. */
export const payloadOf = (number: number): { number: number; text: string } => ({
  number,
  text: 'some words that an event may carry with it',
});
