import { Registry } from 'prom-client';
export const used = Registry;
