/** A key is `dn_<environment>_<id>_<secret>_<checksum>`; the checksum refuses a mistyped key without a query. */
export type ParsedKey = { environment: string; id: string; secret: string };

const shape = /^(dn_([a-z]{2,8})_([0-9A-Za-z]{12})_([0-9A-Za-z]{32,64}))_([0-9a-f]{8})$/;

function crc32(text: string): string {
  let crc = 0xffffffff;
  for (let index = 0; index < text.length; index += 1) {
    crc ^= text.charCodeAt(index) & 0xff;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, '0');
}

/** Puts the parts of a key together with their checksum. */
export function formatKey(environment: string, id: string, secret: string): string {
  const text = `dn_${environment}_${id}_${secret}`;
  return `${text}_${crc32(text)}`;
}

/** Reads a key; null when its shape or its checksum is wrong. */
export function parseKey(text: string): ParsedKey | null {
  const match = shape.exec(text);
  if (match === null) return null;
  const [, signed = '', environment = '', id = '', secret = '', checksum = ''] = match;
  return crc32(signed) === checksum ? { environment, id, secret } : null;
}
