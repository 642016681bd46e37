// Appends heads for ever, as a worker does; a test kills it in the middle. Its arguments: the file, and how many there are.
import { openHeadsFile } from '../../activities/heads-file.ts';
import { headOf } from './heads.ts';

const [, , file = '', count = '0'] = process.argv;
const heads = openHeadsFile(file);
console.log('ready');
for (let upTo = 1; upTo <= Number(count); upTo += 1)
  await heads.complete(headOf(upTo), (after) =>
    Promise.resolve(Array.from({ length: Math.max(0, upTo - after) }, (_, at) => headOf(after + at + 1))),
  );
