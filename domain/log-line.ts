// What JSON leaves as it is and a terminal or a reader of lines may obey: delete, C1 controls, and other line ends.
const obeyed = /[\u007f-\u009f\u2028\u2029]/g;

/** One line of JSON whose strings hold nothing that a terminal obeys; its meaning stays the same. */
export function plainLine(json: string): string {
  return json.replace(obeyed, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
