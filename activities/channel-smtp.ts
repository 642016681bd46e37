import net from 'node:net';
import { createTransport, type SMTPTransportOptions } from 'nodemailer';
import type { SmtpConfig } from '../domain/channel.ts';
import { mailText } from '../domain/notification-body.ts';
import { notSent, type SendEnd, type SendInput, sendTimeoutMs } from './channel-send.ts';
import { guardedConnect } from './guarded-connect.ts';
import { explainFetchError, refusalIn } from './guarded-fetch.ts';

const maxResponseBytes = 64 * 1024;

function optionsFor(config: SmtpConfig, password: string | null, socket: net.Socket): SMTPTransportOptions {
  const { host, port, secure, user, ca } = config;
  return {
    host,
    port,
    // Connected by us, to an address that was checked.
    connection: socket,
    secure: secure === 'tls',
    requireTLS: secure === 'starttls',
    ignoreTLS: secure === 'none',
    // The certificate is compared with the name that was asked for; an address has no name to ask for.
    ...(net.isIP(host) === 0 ? { servername: host } : {}),
    tls: { minVersion: 'TLSv1.2', ...(ca === null ? {} : { ca }) },
    // Without forceAuth the mail goes out without a login where a server offers none.
    ...(user === null ? {} : { auth: { user, pass: password ?? '' }, forceAuth: true }),
    connectionTimeout: sendTimeoutMs,
    greetingTimeout: sendTimeoutMs,
    socketTimeout: sendTimeoutMs,
    socketCloseTimeout: 1_000,
    maxResponseSize: maxResponseBytes,
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** Sends a notification as a mail; its Message-ID follows from the notification, so that a repetition shows itself. */
export async function sendMail(
  { notification, signal }: SendInput,
  { config, password }: { config: SmtpConfig; password: string | null },
): Promise<SendEnd> {
  const { host, port, allowPrivateNetwork } = config;
  // One limit over everything: a server that trickles along never trips the limits of single steps.
  const late = AbortSignal.timeout(sendTimeoutMs);
  const either = AbortSignal.any([late, signal]);
  let socket: net.Socket | null = null;
  try {
    socket = await guardedConnect({ host, port, allowPrivateNetwork, signal: either });
    const { subject, text } = mailText(notification);
    const domain = config.from.split('@').at(-1) ?? 'localhost';
    const info = await createTransport(optionsFor(config, password, socket)).sendMail({
      from: { name: 'DreamNet', address: config.from },
      to: config.to.map((address) => ({ name: '', address })),
      subject,
      text,
      messageId: `<${notification.id}@${domain}>`,
      date: new Date(notification.createdAt),
      headers: { 'Auto-Submitted': 'auto-generated', 'X-DreamNet-Topic': notification.topic },
      signal: either,
    });
    const refused = info.rejected.length;
    const status = info.response.slice(0, 3);
    return {
      sent: true,
      status: refused === 0 ? status : `${status}, ${refused} of ${config.to.length} recipients refused`,
      messageId: info.messageId,
    };
  } catch (error) {
    signal.throwIfAborted();
    return explain(error, late.aborted);
  } finally {
    socket?.destroy();
  }
}

function explain(error: unknown, isLate: boolean): SendEnd {
  if (isLate) return notSent(true, 'timed out');
  const refusal = refusalIn(error);
  if (refusal !== null) return notSent(false, refusal.message);
  const { code, responseCode } = error as { code?: unknown; responseCode?: unknown };
  if (code === 'ETIMEDOUT') return notSent(true, 'timed out');
  const reason = explainFetchError(error).slice(0, 400);
  // The server's own word decides: 4xx is for now, 5xx is for good (RFC 5321).
  if (typeof responseCode === 'number' && responseCode >= 500) return notSent(false, reason);
  return notSent(code !== 'EAUTH' || typeof responseCode === 'number', reason);
}
