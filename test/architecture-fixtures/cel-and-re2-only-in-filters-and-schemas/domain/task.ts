import { evaluate } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
export const used = [evaluate, RE2JS];
