import net from 'node:net';

/** What follows an answer that is enough is read as well: nothing should. */
const lingerMs = 50;
const silenceMs = 5_000;

/**
 * Sends bytes as they are, and reads until that is enough or the other side is silent or gone. Whoever is refused in the middle
 * of what it sends may be cut off before it can read the answer; it sends again then.
 */
export async function sendRaw(
  port: number,
  parts: string[],
  isEnough: (answer: string) => boolean,
): Promise<string> {
  for (let tries = 1; ; tries += 1) {
    const { answer, wasCutOff } = await sendOnce(port, parts, isEnough);
    if (answer !== '' || !wasCutOff || tries === 5) return answer;
  }
}

async function sendOnce(port: number, parts: string[], isEnough: (answer: string) => boolean) {
  const socket = net.connect(port, '127.0.0.1');
  let answer = '';
  let wasCutOff = false;
  socket.on('error', (error: NodeJS.ErrnoException) => (wasCutOff = error.code === 'ECONNRESET'));
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    answer += chunk;
    if (isEnough(answer)) setTimeout(() => socket.destroy(), lingerMs);
  });
  socket.setTimeout(silenceMs, () => socket.destroy());
  const closed = new Promise((resolve) => socket.once('close', resolve));
  for (const part of parts) socket.write(part, 'latin1');
  await closed;
  return { answer, wasCutOff };
}
