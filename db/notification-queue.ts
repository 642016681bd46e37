import { inArray } from 'drizzle-orm';
import type { Notice, NoticeFacts, NoticeSubject } from '../domain/notification.ts';
import { severities } from '../domain/events.ts';
import { principalNames } from './access.ts';
import type { Database, Sql } from './client.ts';
import { approvals, tasks } from './schema/index.ts';

/** What the record knows of the tasks, approvals and people that events name. */
export async function readNoticeFacts(
  { db }: Database,
  wanted: { subjectIds: string[]; personIds: string[] },
): Promise<NoticeFacts> {
  const ids = [...new Set(wanted.subjectIds)];
  const subjects = new Map<string, NoticeSubject>();
  if (ids.length > 0) {
    const [taskRows, approvalRows] = await Promise.all([
      db.select().from(tasks).where(inArray(tasks.id, ids)),
      db.select().from(approvals).where(inArray(approvals.id, ids)),
    ]);
    for (const { id, title, target, risk, approvalId } of taskRows)
      subjects.set(id, { title, target, risk, taskId: id, approvalId });
    for (const { id, title, target, risk, subjectId } of approvalRows)
      subjects.set(id, { title, target, risk, taskId: subjectId, approvalId: id });
  }
  return { subjects, names: await principalNames(db, wanted.personIds) };
}

/**
 * Which channels want these notices, as `judged`. An event that was handled before is left out. Within a channel's
 * cooldown one of a key goes out and the others are held.
 */
function judge(log: Sql, notices: Notice[]) {
  const rows = notices.map((notice, place) => ({
    place,
    event_id: notice.eventId,
    topic: notice.topic,
    severity: notice.severity,
    rank: severities.indexOf(notice.severity),
    dedupe_key: notice.dedupeKey,
    title: notice.title,
    text: notice.text,
    fields: notice.fields,
    link: notice.link,
    everyone: notice.everyone,
    about_channel: notice.aboutChannel,
  }));
  return log`
    stated as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb) as s(
        place int, event_id text, topic text, severity text, rank int, dedupe_key text, title text, text text,
        fields jsonb, link text, everyone boolean, about_channel text)
    ),
    wanted as (
      select s.*, c.id as channel_id, c.name as channel, c.cooldown_ms,
             'ntf_' || left(encode(sha256(convert_to(c.id || '|' || s.event_id, 'UTF8')), 'hex'), 32) as id
      from stated s join channels c on c.enabled and c.id is distinct from s.about_channel
      where s.everyone or (
        s.rank >= array_position(string_to_array(${severities.join(' ')}::text, ' '), c.min_severity) - 1
        and exists (
          select from jsonb_array_elements_text(c.topics) as pattern
          where case when right(pattern, 1) = '*' then starts_with(s.topic, left(pattern, -1)) else pattern = s.topic end
        ))
    ),
    fresh as (
      select w.*, shown.id as shown_id,
             shown.state in ('queued', 'sent')
               and shown.created_at > now() - make_interval(secs => w.cooldown_ms / 1000.0) as is_cooling,
             first_value(w.id) over same_key as first_id,
             row_number() over same_key as nth
      from wanted w
      left join lateral (
        select n.id, n.state, n.created_at from notifications n
        where n.channel_id = w.channel_id and n.dedupe_key = w.dedupe_key and n.state <> 'suppressed'
        order by n.created_at desc, n.id desc limit 1
      ) shown on true
      where not exists (select from notifications n where n.id = w.id)
      window same_key as (partition by w.channel_id, w.dedupe_key order by w.place)
    ),
    judged as (
      select f.*, not f.everyone and f.cooldown_ms > 0 and (coalesce(f.is_cooling, false) or f.nth > 1) as is_held,
             case when coalesce(f.is_cooling, false) or f.nth = 1 then f.shown_id else f.first_id end as before_id
      from fresh f
    )`;
}

export type QueuedNotification = { id: string; title: string; channelId: string; severity: string };

/**
 * Turns notices into notifications of the channels that want them, in one statement. What is held is kept as
 * suppressed, and the next that goes out tells how many they were.
 */
export async function queueNotifications(log: Sql, notices: Notice[]): Promise<QueuedNotification[]> {
  if (notices.length === 0) return [];
  return log<QueuedNotification[]>`
    with ${judge(log, notices)},
    added as (
      insert into notifications (id, channel_id, event_id, topic, dedupe_key, title, text, fields, link, severity, state,
                                 suppressed_because, folded_into, more, workflow_id, ended_at)
      select j.id, j.channel_id, j.event_id, j.topic, j.dedupe_key, j.title, j.text, j.fields, j.link, j.severity,
             case when j.is_held then 'suppressed' else 'queued' end,
             case when j.is_held then 'cooldown' end,
             case when j.is_held then j.before_id end,
             case when j.is_held then 0
                  else (select count(*) from notifications n where n.folded_into = j.before_id) end,
             'notification/' || j.id,
             case when j.is_held then now() end
      from judged j
      order by j.place, j.channel_id
      on conflict (id) do nothing
      returning id, title, channel_id, severity, state
    )
    select id, title, channel_id as "channelId", severity from added where state = 'queued'`;
}

export type PreviewedNotification = { eventId: string; channel: string; isHeld: boolean };

/** Who would be told, by the state of now; nothing is written. */
export async function previewNotifications(log: Sql, notices: Notice[]): Promise<PreviewedNotification[]> {
  if (notices.length === 0) return [];
  return log<PreviewedNotification[]>`
    with ${judge(log, notices)}
    select j.event_id as "eventId", j.channel, j.is_held as "isHeld" from judged j order by j.place, j.channel`;
}
