import { expect, test } from 'vitest';
import { redactText, withoutSecrets } from '../../domain/redact.ts';

test('ordinary text stays as it is', () => {
  const text = 'Restart the shop: token bucket is empty, see http://shop.test/health?x=1 (basic check)';
  expect(redactText(text)).toBe(text);
});

test('known secrets are blanked wherever they stand', () => {
  expect(withoutSecrets('535 hunter2 is not hunter2', ['hunter2', ''])).toBe(
    '535 [redacted] is not [redacted]',
  );
});

test('a private key is blanked as a whole, also one that is cut off', () => {
  expect(redactText('x -----BEGIN PRIVATE KEY-----\nabc\ndef')).toBe('x [redacted]');
});
