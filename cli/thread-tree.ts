import { visible } from './escape.ts';
import { marked } from './format.ts';
import type { Output } from './output.ts';
import type { ThreadNode } from './bus-views.ts';

/** Deeper levels stay at this one and say how deep they are: a chain of hundreds would leave the screen. */
const deepestDrawn = 24;

/** One line for each event, under its cause. */
export function threadTree(out: Output, nodes: ThreadNode[]): string[] {
  const rails = railsOf(nodes.map(({ depth }) => depth));
  return nodes.map(({ event, link, delayMs, depth }, at) => {
    const cell = marked(event.severity);
    const severity = typeof cell === 'string' ? cell : out.paint(cell.style, cell.text);
    const delay = delayMs === null ? '' : `  ${delayMs < 0 ? '' : '+'}${delayMs} ms`;
    const deep = depth > deepestDrawn ? `(${depth}) ` : '';
    const loose = link === 'orphan' ? '  no cause here' : '';
    const source = visible(`${event.source.type}:${event.source.id}`);
    return `${rails[at]}${deep}${visible(event.type)}  ${severity}  ${source}  ${visible(event.id)}${delay}${loose}`;
  });
}

/** The lines in front of each row; read from the end, as a line goes on only where a sibling follows. */
function railsOf(depths: number[]): string[] {
  const rails: string[] = [];
  const goesOn: boolean[] = [];
  for (const depth of depths.toReversed()) {
    const level = Math.min(depth, deepestDrawn);
    const above = Array.from({ length: Math.max(0, level - 1) }, (_, at) => (goesOn[at + 1] ? '│  ' : '   '));
    rails.unshift(level === 0 ? '' : `${above.join('')}${goesOn[level] ? '├─ ' : '└─ '}`);
    goesOn.length = level + 1;
    goesOn[level] = true;
  }
  return rails;
}
