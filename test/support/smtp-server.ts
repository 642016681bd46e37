import net from 'node:net';
import tls from 'node:tls';
import { mailCertificate, mailKey } from './mail-certificate.ts';

export type Mail = { from: string; to: string[]; data: string; user: string | null; isEncrypted: boolean };
type Verb = 'EHLO' | 'AUTH' | 'MAIL' | 'RCPT' | 'DATA' | 'BODY';

export type SmtpServer = {
  port: number;
  mails: Mail[];
  /** Every line of every client, as it came. */
  lines: string[];
  connections: () => number;
  /** Answers a verb (BODY is the end of DATA) with this instead, until it is taken away again. */
  instead: Partial<Record<Verb, string>>;
  close(): Promise<void>;
};

type Options = {
  security: 'starttls' | 'tls' | 'none';
  /** Empty: the server offers no login and wants none. */
  user: string | null;
  password?: string;
  /** What the server offers; PLAIN and LOGIN unless given. */
  auth?: ('PLAIN' | 'LOGIN')[];
  greeting?: string | null;
};

type Session = { from: string; to: string[]; user: string | null; isEncrypted: boolean };

/** A mail server as RFC 5321, 3207 and 4954 describe it, as far as one client needs it, for tests. */
export async function startSmtpServer(options: Options): Promise<SmtpServer> {
  const context = tls.createSecureContext({ cert: mailCertificate, key: mailKey });
  const sockets = new Set<net.Socket>();
  const mails: Mail[] = [];
  const lines: string[] = [];
  const instead: SmtpServer['instead'] = {};
  let connections = 0;

  function greet(socket: net.Socket, session: Session): void {
    if (options.greeting === null) return;
    socket.write(options.greeting ?? '220 localhost ESMTP\r\n');
    converse(socket, session);
  }

  function converse(socket: net.Socket, session: Session): void {
    let rest = '';
    let body: string | null = null;
    let expects: ((line: string) => void) | null = null;
    const say = (verb: Verb | null, text: string): void =>
      void socket.write(`${(verb === null ? undefined : instead[verb]) ?? text}\r\n`);
    const login = (user: string, password: string): void => {
      if (user !== options.user || password !== options.password)
        return say('AUTH', `535 5.7.8 ${password} is not the password of ${user}`);
      session.user = user;
      say('AUTH', '235 2.7.0 welcome');
    };
    const plain = (text: string): void => {
      const [, user = '', password = ''] = Buffer.from(text, 'base64').toString().split('\0');
      login(user, password);
    };
    const ask = (prompt: string, then: (answer: string) => void): void => {
      expects = then;
      socket.write(`334 ${Buffer.from(prompt).toString('base64')}\r\n`);
    };

    function command(line: string): void {
      const [verb = '', ...words] = line.split(' ');
      switch (verb.toUpperCase()) {
        case 'EHLO': {
          const canStart = options.security === 'starttls' && !session.isEncrypted;
          const auth =
            options.user === null ? [] : [`AUTH ${(options.auth ?? ['PLAIN', 'LOGIN']).join(' ')}`];
          const all = ['localhost', ...(canStart ? ['STARTTLS'] : []), '8BITMIME', ...auth];
          return say(
            'EHLO',
            all.map((text, at) => `250${at === all.length - 1 ? ' ' : '-'}${text}`).join('\r\n'),
          );
        }
        case 'STARTTLS': {
          if (options.security !== 'starttls') return say(null, '502 5.5.1 not here');
          socket.removeAllListeners('data');
          socket.write('220 go ahead\r\n');
          const secured = new tls.TLSSocket(socket, { isServer: true, secureContext: context });
          secured.on('error', () => undefined);
          return converse(secured, { from: '', to: [], user: null, isEncrypted: true });
        }
        case 'AUTH': {
          const [method = '', initial] = words;
          if (method === 'PLAIN') return initial === undefined ? ask('', plain) : plain(initial);
          return ask('Username:', (user) =>
            ask('Password:', (password) =>
              login(Buffer.from(user, 'base64').toString(), Buffer.from(password, 'base64').toString()),
            ),
          );
        }
        case 'MAIL':
          if (options.user !== null && session.user === null) return say('MAIL', '530 5.7.0 log in first');
          session.from = line;
          session.to = [];
          return say('MAIL', '250 ok');
        case 'RCPT':
          if (instead.RCPT === undefined) session.to.push(line);
          return say('RCPT', '250 ok');
        case 'DATA':
          if (instead.DATA === undefined) body = '';
          return say('DATA', '354 end with a dot');
        case 'QUIT':
          say(null, '221 bye');
          return void socket.end();
        default:
          return say(null, '250 ok');
      }
    }

    function read(line: string): void {
      if (body !== null) {
        if (line !== '.') {
          body += `${line.startsWith('.') ? line.slice(1) : line}\r\n`;
          return;
        }
        const data = body;
        body = null;
        if (instead.BODY === undefined) mails.push({ ...session, data });
        return say('BODY', '250 2.0.0 queued as 42');
      }
      lines.push(line);
      const then = expects;
      expects = null;
      if (then === null) command(line);
      else then(line);
    }

    socket.setEncoding('utf8').on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\r\n');
      rest = parts.pop() ?? '';
      parts.forEach(read);
    });
  }

  const server =
    options.security === 'tls'
      ? tls.createServer({ cert: mailCertificate, key: mailKey }, (socket) =>
          greet(socket, { from: '', to: [], user: null, isEncrypted: true }),
        )
      : net.createServer((socket) => greet(socket, { from: '', to: [], user: null, isEncrypted: false }));
  server.on('connection', (socket: net.Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    mails,
    lines,
    connections: () => connections,
    instead,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
