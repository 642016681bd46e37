/** Whether an event that does not fit the schema of its type is refused, or stored with a warning. */
export const schemaModes = ['enforce', 'warn'] as const;
export type SchemaMode = (typeof schemaModes)[number];
