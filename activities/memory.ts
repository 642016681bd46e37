import type { Database } from '../db/client.ts';
import { countMoves, previewMoves } from '../db/memory.ts';
import { type Delivery, type EventHandler, nothingFailed } from '../domain/delivery.ts';
import { type Move, movesOf } from '../domain/memory.ts';

const movesOfAll = (deliveries: Delivery[]): Move[] => deliveries.flatMap(({ event }) => movesOf(event));

/** Moves traits by what events say; an event that comes again, replayed or not, is not counted again. */
export function createMemoryHandler({ database }: { database: Database }): EventHandler {
  return {
    async deliver(deliveries) {
      await countMoves(database.log, movesOfAll(deliveries));
      return nothingFailed;
    },

    async preview(deliveries) {
      const told = await previewMoves(database.log, movesOfAll(deliveries));
      return deliveries.map(({ event, part }) => {
        const moves = told
          .filter(({ eventId }) => eventId === event.id)
          .map(({ entity, trait, delta }) => ({ entity, trait, delta }));
        const isCounted = told.some(({ eventId, counted }) => eventId === event.id && counted);
        const words = moves.map(({ entity, trait, delta }) => `${trait} of ${entity} by ${delta}`);
        const would = isCounted
          ? 'do nothing: it was counted before'
          : words.length === 0
            ? 'do nothing: it says nothing of anybody known'
            : `move ${words.join(', ')}`;
        return { eventId: event.id, part, would, detail: { counted: isCounted, moves } };
      });
    },
  };
}
