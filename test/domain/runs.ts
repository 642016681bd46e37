/** How many cases a property tries; `FAST_CHECK_RUNS` asks for more. */
export const propertyRuns = { numRuns: Number(process.env.FAST_CHECK_RUNS ?? 1000) };
