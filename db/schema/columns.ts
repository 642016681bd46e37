import { customType, timestamp } from 'drizzle-orm/pg-core';

/** Postgres transaction id of 64 bits, kept as decimal text: it passes JSON and URLs unharmed. */
export const xid8 = customType<{ data: string }>({ dataType: () => 'xid8' });

/** bigint as decimal text, for values that grow past 2^53 or travel through JSON. */
export const bigintText = customType<{ data: string; driverData: string | bigint }>({
  dataType: () => 'bigint',
  fromDriver: (value) => String(value),
});

/** Milliseconds, so that a JavaScript Date holds the value exactly and a page cursor never skips a row. */
export function instant(name: string) {
  return timestamp(name, { withTimezone: true, mode: 'date', precision: 3 });
}
