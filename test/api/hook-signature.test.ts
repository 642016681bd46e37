import { createHmac } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { verifyMessage } from '../../api/hook-signature.ts';

const nowMs = Date.parse('2026-03-01T12:00:00Z');
const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const other = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;
const text = '{"a":"ü"}';
const body = Buffer.from(text);

function standard(given: { id?: string; atMs?: number; with?: string; signature?: string } = {}) {
  const { id = 'msg_1', atMs = nowMs, with: by = secret } = given;
  const headers: Record<string, string> = {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(atMs / 1000)),
    'webhook-signature': given.signature ?? new Webhook(by).sign(id, new Date(atMs), text),
  };
  return { header: (name: string) => headers[name], body, nowMs };
}

function github(headers: Record<string, string>, content: Uint8Array = body) {
  return { header: (name: string) => headers[name], body: content, nowMs };
}
const plain = 'a secret of github';
const signed = `sha256=${createHmac('sha256', plain).update(body).digest('hex')}`;

describe('a message of Standard Webhooks', () => {
  test('is good as the library of the standard signs it', () => {
    expect(verifyMessage('standard-webhooks', [secret], standard())).toEqual({
      messageId: 'msg_1',
      kind: null,
    });
  });

  test('is good for either secret while they are changed, and with either of two signatures', () => {
    expect(verifyMessage('standard-webhooks', [other, secret], standard())).not.toBeNull();
    const both = [other, secret].map((each) => new Webhook(each).sign('msg_1', new Date(nowMs), text));
    const message = standard({ signature: both.join(' ') });
    expect(verifyMessage('standard-webhooks', [secret], message)).not.toBeNull();
  });

  test.each<[string, number, boolean]>([
    ['5 minutes old', -300_000, true],
    ['5 minutes ahead', 300_000, true],
    ['older', -301_000, false],
    ['further ahead', 301_000, false],
  ])('TRUST 4.42: that is %s counts: %d ms, %s', (_name, ms, isGood) => {
    const verified = verifyMessage('standard-webhooks', [secret], standard({ atMs: nowMs + ms }));
    expect(verified !== null).toBe(isGood);
  });

  test.each<[string, ReturnType<typeof standard>]>([
    ['with another secret', standard({ with: other })],
    ['with another body', { ...standard(), body: Buffer.from(`${text} `) }],
    ['without a signature', standard({ signature: '' })],
    ['with a cut signature', standard({ signature: 'v1,AAAA' })],
    [
      'of another version',
      standard({ signature: standard().header('webhook-signature')?.replace('v1,', 'v1a,') }),
    ],
    ['without headers', { ...standard(), header: () => undefined }],
    ['without an id', standard({ id: '' })],
    ['with an id of two words', standard({ id: 'a b' })],
  ])('%s is not good', (_name, message) => {
    expect(verifyMessage('standard-webhooks', [secret], message)).toBeNull();
  });

  test('whose id was changed is not good: the id is signed', () => {
    const message = standard();
    const header = (name: string) => (name === 'webhook-id' ? 'msg_2' : message.header(name));
    expect(verifyMessage('standard-webhooks', [secret], { ...message, header })).toBeNull();
  });

  test('without any secret is never good', () => {
    expect(verifyMessage('standard-webhooks', [], standard())).toBeNull();
  });
});

describe('a message of GitHub', () => {
  const good = { 'x-hub-signature-256': signed, 'x-github-delivery': 'd-1', 'x-github-event': 'push' };

  test('is good with the signature of its body, and says what it is', () => {
    expect(verifyMessage('github', [plain], github(good))).toEqual({ messageId: 'd-1', kind: 'push' });
  });

  test("matches the example of GitHub's documentation", () => {
    const headers = {
      ...good,
      'x-hub-signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
    };
    const message = github(headers, Buffer.from('Hello, World!'));
    expect(verifyMessage('github', ["It's a Secret to Everybody"], message)).not.toBeNull();
  });

  test.each<[string, Record<string, string>]>([
    ['with another signature', { ...good, 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` }],
    ['with the old kind of signature', { ...good, 'x-hub-signature-256': signed.replace('sha256', 'sha1') }],
    ['without an id', { ...good, 'x-github-delivery': '' }],
    ['without headers', {}],
  ])('%s is not good', (_name, headers) => {
    expect(verifyMessage('github', [plain], github(headers))).toBeNull();
  });
});
