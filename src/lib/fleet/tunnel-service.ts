import type { Duplex } from 'node:stream';
import { Failure, interrupted } from '../failure/failure.js';
import { connectHttp } from '../platform/http-connection.js';
import { connectionCut, connectionFailure } from '../platform/http-failure.js';
import { limit } from '../platform/limit.js';
import type { Account } from './account.js';
import { answerFailure } from './cloud-api.js';
import { type CloudDevice, describeDevice, deviceOffline } from './cloud-device.js';

/** balena-cli waits as long for the service to reach a device. */
const connectMs = 10_000;

/** The service answers with a line. */
const longestAnswer = 16_384;

/**
 * A byte stream to a TCP port of a device that is connected to its cloud, through the cloud's tunnel service (open-balena-vpn):
 * `CONNECT <uuid>.balena:<port> HTTP/1.0` over TLS, with the token as the password of `Proxy-Authorization`. Ports that the device opens for
 * itself alone (127.0.0.1) are not reached.
 */
export async function openThroughTunnel(
  account: Account,
  device: CloudDevice,
  port: number,
  signal: AbortSignal,
): Promise<Duplex> {
  const url = new URL(account.tunnelUrl);
  const { socket } = await connectHttp(url, { connectMs, signal });
  // A token that belongs to no user goes under the name of root.
  const login = Buffer.from(`${account.userName ?? 'root'}:${account.token}`).toString('base64');
  const patience = limit(signal, connectMs);
  try {
    socket.write(`CONNECT ${device.uuid}.balena:${port} HTTP/1.0\r\nProxy-Authorization: Basic ${login}\r\n\r\n`);
    const status = await readStatus(socket, url, patience.signal);
    if (signal.aborted) throw interrupted();
    if (status !== 200) throw refusal(status, account, device, port);
    return socket;
  } catch (error) {
    // What it still has to say does not matter any more.
    socket.on('error', () => undefined).destroy();
    throw error instanceof Error ? connectionFailure(url, error) : error;
  } finally {
    patience.end();
  }
}

/** The status of the answer; what follows it stays in the stream. Undefined when none comes in time. */
function readStatus(socket: Duplex, url: URL, signal: AbortSignal): Promise<number | undefined> {
  let head = Buffer.alloc(0);
  return new Promise<number | undefined>((resolve, reject) => {
    const settle = () => {
      socket.off('readable', onReadable).off('error', onError).off('end', onEnd).off('close', onEnd);
      signal.removeEventListener('abort', onAbort);
    };
    const onReadable = () => {
      const chunk: unknown = socket.read();
      if (!Buffer.isBuffer(chunk)) return;
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0 && head.length < longestAnswer) return;
      settle();
      const status = /^HTTP\/1\.[01] (\d{3})\b/.exec(head.toString('latin1'))?.[1];
      if (end >= 0 && head.length > end + 4) socket.unshift(head.subarray(end + 4));
      resolve(end < 0 || status === undefined ? 0 : Number(status));
    };
    const onError = (error: Error) => {
      settle();
      reject(error);
    };
    const onEnd = () => {
      onError(connectionCut(url));
    };
    const onAbort = () => {
      settle();
      resolve(undefined);
    };
    socket.on('readable', onReadable).on('error', onError).on('end', onEnd).on('close', onEnd);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else onReadable();
  });
}

function refusal(status: number | undefined, account: Account, device: CloudDevice, port: number): Failure {
  const { tunnelUrl } = account;
  const what = `${describeDevice(device)}, port ${port}`;
  switch (status) {
    case undefined:
      return new Failure('unreachable', 'timeout', `${tunnelUrl} does not reach ${what} within ${connectMs / 1000} s`, {
        hint: 'Check that the device is online',
      });
    case 407:
      return new Failure('permission', 'tunnel-denied', `${tunnelUrl} does not let you through to ${what}`, {
        hint: 'Your token may have expired, or your user may not open shells on this device; davit whoami tells which user that is',
      });
    case 503:
      return deviceOffline(account, device);
    case 500:
      return new Failure('unreachable', 'tunnel-failed', `${tunnelUrl} cannot connect to ${what}`, {
        hint: 'Nothing may listen at this port, or only for the device itself; if it is that of SSH, the link of the device may have just been lost',
      });
    case 0:
      return answerFailure({ ...account, apiUrl: tunnelUrl }, 'what answers is no tunnel service');
    default:
      return new Failure('unreachable', 'tunnel-failed', `${tunnelUrl} refuses ${what} (HTTP ${status})`);
  }
}
