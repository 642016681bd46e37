import { registerHooks } from 'node:module';

// Loaded before api/main.ts: everything else of the API stays as it is, and the product needs no switch for a bench.
const naive = new URL('./one-insert.ts', import.meta.url).href;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier.endsWith('/event-writer.ts') ? { url: naive, shortCircuit: true } : next(specifier, context),
});
