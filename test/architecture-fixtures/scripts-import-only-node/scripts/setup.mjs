import { Command } from 'citty';
export const used = Command;
