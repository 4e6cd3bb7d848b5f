import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import ssh2 from 'ssh2';
import { isRecord } from '../../src/lib/platform/json.js';

/** A server that stands in for balenaCloud's SSH proxy, made from what is known of it: `host <uuid> [<command>]`. */
export interface StandInSshProxy {
  readonly host: string;
  readonly port: number;
  /** `lea: host 63ec… uptime` */
  readonly asked: string[];
  readonly close: () => Promise<void>;
}

/**
 * Starts a proxy that lets one user in with one key. What it is asked to run on the device, which this computer stands for, is run by a shell;
 * nothing else is served: neither forwarding nor files.
 */
export async function startSshProxy(options: {
  readonly userName: string;
  readonly identityFile: string;
  readonly uuid: string;
  /** Words put before what it runs, such as those that enter the namespace of a device. */
  readonly wrapper?: readonly string[];
}): Promise<StandInSshProxy> {
  const { userName, identityFile, uuid } = options;
  const accepted = ssh2.utils.parseKey(await readFile(identityFile));
  if (accepted instanceof Error) throw accepted;
  const hostKey = ssh2.utils.generateKeyPairSync('ed25519').private;
  const asked: string[] = [];
  const clients = new Set<ssh2.Connection>();
  const server = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
    clients.add(client);
    let user = '';
    client.on('error', () => undefined).on('close', () => clients.delete(client));
    client.on('authentication', (context) => {
      user = context.username;
      const isKey = context.method === 'publickey' && context.key.data.equals(accepted.getPublicSSH());
      if (isKey && user === userName) {
        const isProven =
          context.signature === undefined ||
          accepted.verify(context.blob ?? Buffer.alloc(0), context.signature, context.hashAlgo);
        if (isProven) {
          context.accept();
          return;
        }
      }
      context.reject(['publickey']);
    });
    client.on('ready', () => {
      client.on('session', (accept) => {
        const session = accept();
        session.on('pty', (acceptPty) => {
          acceptPty();
        });
        session.on('exec', (acceptExec, _reject, { command }) => {
          asked.push(`${user}: ${command}`);
          const channel = acceptExec();
          const { target, line = '' } = /^host (?<target>[0-9a-f]+)(?: (?<line>[^]*))?$/.exec(command)?.groups ?? {};
          if (target !== uuid) {
            channel.stderr.end('Access denied\n');
            channel.exit(1);
            channel.end();
            return;
          }
          const words = [...(options.wrapper ?? []), 'sh', ...(line === '' ? [] : ['-c', line])];
          const child = spawn(words[0] ?? 'sh', words.slice(1));
          channel.pipe(child.stdin);
          child.stdin.on('error', () => undefined);
          child.stdout.pipe(channel, { end: false });
          child.stderr.pipe(channel.stderr, { end: false });
          channel.on('close', () => child.kill());
          child.on('close', (code) => {
            channel.exit(code ?? 255);
            channel.end();
          });
        });
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address: unknown = server.address();
  const port = isRecord(address) ? Number(address.port) : 0;
  return {
    host: '127.0.0.1',
    port,
    asked,
    close: async () => {
      for (const client of clients) client.end();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
