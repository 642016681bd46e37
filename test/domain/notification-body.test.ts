import { describe, expect, test } from 'vitest';
import {
  discordBody,
  escapeChat,
  mailText,
  type StoredNotification,
  webhookBody,
} from '../../domain/notification-body.ts';

const one: StoredNotification = {
  id: 'ntf_1',
  eventId: 'evt_1',
  topic: 'squad.task.failed',
  severity: 'error',
  title: 'Task failed: Restart',
  text: 'The agent reported a failure.',
  fields: [{ name: 'Target', value: 'probe:shop' }],
  link: 'http://dream.test/v1/tasks/tsk_1',
  more: 0,
  createdAt: '2026-01-01T00:00:00.000Z',
};

describe('a signed webhook', () => {
  test('gets the same bytes for every try', () => {
    expect(webhookBody(one)).toBe(webhookBody({ ...one }));
    expect(JSON.parse(webhookBody(one))).toMatchObject({
      type: 'squad.task.failed',
      timestamp: one.createdAt,
      data: { id: 'ntf_1', eventId: 'evt_1', title: one.title, link: one.link },
    });
  });
});

describe('a mail', () => {
  test('has a subject of one line, whatever the title holds', () => {
    const { subject } = mailText({ ...one, title: 'x\r\nBcc: evil@example.com\n\nbody' });
    expect(subject).toBe('[DreamNet] x Bcc: evil@example.com body');
  });
  test('tells how many were held back', () => {
    expect(mailText({ ...one, more: 7 }).text).toContain('and 7 more');
    expect(mailText(one).text).not.toContain('more like this');
  });
});

describe('a chat message', () => {
  const embedOf = (given: Partial<StoredNotification>) =>
    (
      JSON.parse(discordBody({ ...one, ...given })) as {
        embeds: Record<string, string>[];
        allowed_mentions: unknown;
      }
    ).embeds[0] as unknown as {
      title: string;
      description: string;
      fields: { name: string; value: string }[];
    };

  test('mentions nobody: the server is told so, and the text itself cannot', () => {
    const title = '@everyone @here <@123> <@&4> <#5>';
    expect(JSON.parse(discordBody({ ...one, title }))).toMatchObject({ allowed_mentions: { parse: [] } });
    expect(embedOf({ title }).title).not.toMatch(/@everyone|@here|(?<!\\)<@|@123/);
  });
  test('has no mark-up, no hidden link and no bare address from its values', () => {
    const value = '[click](http://evil.test) **b** `c` ||d|| > e';
    const shown = embedOf({ fields: [{ name: 'Reason', value }] }).fields[0]?.value ?? '';
    expect(shown).not.toContain('](http');
    expect(shown).not.toContain('://');
    expect(shown).toContain('\\*\\*b\\*\\*');
  });
  test('keeps to the limits of Discord and never cuts a character or an escape in half', () => {
    const long = embedOf({
      title: '*'.repeat(400),
      text: '🙂'.repeat(4000),
      fields: Array.from({ length: 40 }, () => ({ name: 'n'.repeat(300), value: '_'.repeat(2000) })),
    });
    expect(long.title.length).toBeLessThanOrEqual(256);
    expect(long.title).toMatch(/\*…$/);
    expect(long.description.length).toBeLessThanOrEqual(4096);
    expect(long.description.isWellFormed()).toBe(true);
    const size = (text: string) => text.length;
    const whole = long.fields.map(({ name, value }) => size(name) + size(value));
    expect(
      whole.reduce((sum, each) => sum + each, size(long.title) + size(long.description)),
    ).toBeLessThanOrEqual(6000);
    expect(
      embedOf({ fields: Array.from({ length: 40 }, () => ({ name: 'n', value: 'v' })) }).fields,
    ).toHaveLength(25);
    for (const field of long.fields) expect(field.value.length).toBeLessThanOrEqual(1024);
  });
  test('letters of any script stay as they are', () => {
    expect(escapeChat('Grüße, 世界 🙂')).toBe('Grüße, 世界 🙂');
  });
});
