import { describe, expect, test } from 'vitest';
import { defaultTopics } from '../../domain/channel.ts';
import { eventTypes, type LoggedEvent } from '../../domain/events.ts';
import { aLoggedEvent } from '../support/events.ts';
import { type NoticeFacts, noticeOf, plainLine } from '../../domain/notification.ts';

const base = 'http://dream.test:8080';
const nothing: NoticeFacts = { subjects: new Map(), names: new Map() };

function anEvent(
  type: string,
  payload: LoggedEvent['payload'],
  more: Partial<LoggedEvent> = {},
): LoggedEvent {
  return aLoggedEvent({
    id: 'evt_1',
    type,
    sourceType: 'squad',
    sourceId: 'tsk_1',
    severity: 'error',
    payload,
    ...more,
  });
}

const told = (type: string, payload: LoggedEvent['payload'], facts = nothing) => {
  const notice = noticeOf(anEvent(type, payload), facts, base);
  if (notice === null) throw new Error('no notice');
  return notice;
};

const underStars = [eventTypes.killSwitchEngaged, eventTypes.killSwitchReleased, eventTypes.threatRaised];
const ofDeadLetters = [
  eventTypes.deadLettersSettled,
  eventTypes.redriveEnded,
  eventTypes.deadLetterRedriven,
  eventTypes.deadLetterDiscarded,
];
const restart = {
  approvalId: 'apr_1',
  taskId: 'tsk_1',
  title: 'Restart the shop',
  target: 'probe:shop',
  risk: 'high',
};

describe('what people are told', () => {
  test.each([...defaultTopics.filter((topic) => !topic.endsWith('*')), ...underStars, ...ofDeadLetters])(
    'of %s has words and a next step',
    (type) => {
      const { title, text, fields } = told(type, restart);
      expect(title).toMatch(/^[A-Z]/);
      expect(text).toMatch(/[.!?:] \S/);
      expect(`${title} ${text}`).not.toMatch(/[{}[\]]|undefined/);
      expect(fields).toContainEqual({ name: 'Severity', value: 'error' });
    },
  );

  test('of an approval names what it is about and leads to it', () => {
    const notice = told(eventTypes.approvalRequested, restart);
    expect(notice).toMatchObject({
      title: 'Approval wanted: Restart the shop',
      link: `${base}/v1/approvals/apr_1`,
      dedupeKey: 'approval.requested|apr_1',
      everyone: false,
    });
    expect(notice.text).toContain('about probe:shop, risk high');
    expect(notice.text).toContain('dreamnet inbox');
  });

  test('of a failed task is filled from the record, as the event has only its id', () => {
    const facts = {
      subjects: new Map([
        [
          'tsk_1',
          { title: 'Restart', target: 'probe:shop', risk: 'low', taskId: 'tsk_1', approvalId: 'apr_1' },
        ],
      ]),
      names: new Map(),
    };
    const notice = told(eventTypes.taskFailed, { taskId: 'tsk_1', attempt: 2, summary: 'it said no' }, facts);
    expect(notice.title).toBe('Task failed: Restart');
    expect(notice.text).toContain('for probe:shop');
    expect(notice.fields).toContainEqual({ name: 'Attempt', value: '2' });
  });

  test('of growing dead letters says where, how many, and what to do', () => {
    const payload = { subscription: 'shop', open: 137, grown: 41, reason: '137 open (limit 100)' };
    const notice = told(eventTypes.deadLettersGrowing, payload);
    expect(notice).toMatchObject({
      title: 'Dead letters grow: shop',
      text: expect.stringMatching(
        /^Deliveries fail for good: 137 open \(limit 100\)\. .*dead-letter summary/,
      ),
      link: `${base}/v1/dead-letters/summary`,
    });
    expect(notice.fields).toContainEqual({ name: 'Subscription', value: 'shop' });
    expect(notice.fields).toContainEqual({ name: 'Open dead letters', value: '137' });
  });

  test('of a redrive that was stopped says why and leads to it', () => {
    const payload = { redriveId: 'rdr_1', state: 'stopped', reason: 'The canary failed again' };
    expect(told(eventTypes.redriveEnded, payload)).toMatchObject({
      title: 'Redrive ended: rdr_1',
      text: expect.stringContaining('The canary failed again'),
      link: `${base}/v1/redrives/rdr_1`,
    });
  });

  test('names people, not their ids', () => {
    const facts = { subjects: new Map(), names: new Map([['prn_1', 'Ada']]) };
    expect(told(eventTypes.approvalGlassBroken, { ...restart, by: 'prn_1' }, facts).text).toContain('by Ada');
  });

  test('has no member of the payload that is not known', () => {
    const payload = {
      ...restart,
      summary: 'S3CRET-1',
      payload: { x: 'S3CRET-2' },
      stdout: 'S3CRET-3',
      error: 'S3CRET-4',
    };
    expect(JSON.stringify(told(eventTypes.taskFailed, payload))).not.toContain('S3CRET');
  });

  test.each([
    ['a key of ours', 'dn_live_abcdefghijkl_0123456789012345678901234567890123456789012_deadbeef'],
    ['a signing secret', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    ['a bearer token', 'Bearer abcdefghijklmnop'],
    ['an address with a password', 'postgres://user:hunter2hunter2@db/x'],
    ['a Discord webhook', 'https://discord.com/api/webhooks/123/tokentokentoken'],
    ['a named password', 'password=hunter2hunter2'],
    ['a token of a forge', 'ghp_abcdefghijklmnopqrst'],
    ['a web token', 'eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl'],
  ])('%s in a title is blanked', (_what, secret) => {
    const notice = told(eventTypes.approvalRequested, { ...restart, title: `Use ${secret} now` });
    expect(notice.title).toContain('[redacted]');
    expect(JSON.stringify(notice)).not.toMatch(
      /hunter2|abcdefghijkl_0|MfKQ9r8|abcdefghijklmnop|tokentoken|eyJzdWIi/,
    );
  });

  test('cannot be made to look like something else', () => {
    const title = 'a\r\nBcc: x@y\u0000\u202egnp.exe\u200b{by}[x]';
    expect(told(eventTypes.approvalRequested, { ...restart, title }).title).toBe(
      'Approval wanted: a Bcc: x@y gnp.exe {by}[x]',
    );
    expect(plainLine('🙂'.repeat(10), 5)).toBe('🙂🙂🙂🙂…');
  });

  test('an id that is none makes no link', () => {
    expect(told(eventTypes.approvalRequested, { approvalId: '../../etc', taskId: 'x y' }).link).toBeNull();
  });

  test('a type that nobody has words for is told by its name', () => {
    expect(told('deploy.finished', { title: 'v2', raw: 'S3CRET' })).toMatchObject({
      title: 'deploy.finished: v2',
    });
  });
});

describe('what is never told', () => {
  test.each([eventTypes.notificationSent, eventTypes.notificationFailed, eventTypes.channelChanged])(
    '%s',
    (type) => {
      expect(noticeOf(anEvent(type, {}), nothing, base)).toBeNull();
    },
  );
});

describe('who is told', () => {
  test.each([eventTypes.approvalGlassBroken, eventTypes.killSwitchEngaged])('%s: everyone', (type) => {
    expect(told(type, {}).everyone).toBe(true);
  });
  test('an agent that posts an event of the system is told as an agent, to those who asked, under a key of its own', () => {
    const forged = anEvent(
      eventTypes.killSwitchEngaged,
      { scope: 'all' },
      { sourceType: 'agent', sourceId: 'agt_1' },
    );
    const real = told(eventTypes.killSwitchEngaged, { scope: 'all' });
    const notice = noticeOf(forged, nothing, base);
    expect(notice).toMatchObject({ everyone: false, title: 'An agent says kill-switch.engaged' });
    expect(notice?.fields).toContainEqual({ name: 'From', value: 'agt_1' });
    expect(notice?.dedupeKey).not.toBe(real.dedupeKey);
  });
  test('a threat is told by what it is, and two kinds from one subject are two things', () => {
    const threat = {
      kind: 'burst',
      title: 'Shield: 40 refused requests',
      subjectId: '203.0.113.9',
      address: '203.0.113.9',
    };
    const one = told(eventTypes.threatRaised, threat);
    expect(one.title).toBe('Threat: Shield: 40 refused requests');
    expect(one.fields).toContainEqual({ name: 'Address', value: '203.0.113.9' });
    expect(told(eventTypes.threatRaised, { ...threat, kind: 'forgery' }).dedupeKey).not.toBe(one.dedupeKey);
  });
  test('the failing channel is not told of its own failure', () => {
    expect(
      told(eventTypes.integrationFailed, { channelId: 'chn_1', name: 'ops', reason: 'down' }),
    ).toMatchObject({
      aboutChannel: 'chn_1',
      title: 'Integration failed: ops',
      link: `${base}/v1/channels/chn_1`,
    });
  });
  test('failures of one target share a key, whatever task they come from', () => {
    const one = told(eventTypes.taskFailed, { taskId: 'tsk_1', target: 'probe:shop' });
    const two = told(eventTypes.taskFailed, { taskId: 'tsk_2', target: 'probe:shop' });
    expect(one.dedupeKey).toBe(two.dedupeKey);
    expect(told(eventTypes.taskFailed, { taskId: 'tsk_2', target: 'probe:x' }).dedupeKey).not.toBe(
      one.dedupeKey,
    );
  });
});
