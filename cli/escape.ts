/*
 * What comes from outside may hold sequences that a terminal obeys, or characters that turn text around: a title could
 * rewrite the line above it. Here they are made visible. Tab and line feed count too: a title is one line.
 */
const obeyed =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|\p{Cs}/gu;

function escapeOne(found: string): string {
  return Array.from({ length: found.length }, (_, index) => {
    const unit = found.charCodeAt(index);
    return `\\u${unit.toString(16).padStart(4, '0')}`;
  }).join('');
}

/** One line of text that shows every character it has. */
export function visible(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.replace(obeyed, escapeOne);
}

/** Text of several lines; only its line feeds stay as they are. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n');
}

/** The same JSON in plain characters: inside a string of JSON an escape means the character itself. */
export function safeJson(text: string): string {
  return text.replace(obeyed, escapeOne);
}
