import { defineConfig } from 'drizzle-kit';
export const used = defineConfig;
