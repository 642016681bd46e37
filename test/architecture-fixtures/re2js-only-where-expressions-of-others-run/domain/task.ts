import { RE2JS } from 're2js';
export const any = RE2JS.compile('.*');
