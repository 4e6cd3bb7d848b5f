import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { Failure } from '../failure/failure.js';
import { systemErrorCode, whileDoing } from '../failure/while-doing.js';
import { requirePrograms, run, runChecked } from '../platform/child-process.js';
import {
  addressFor,
  bridgeAddress,
  bridgeBroadcast,
  bridgePrefix,
  dhcpAnswer,
  virtualHardwareAddress,
} from './dhcp-answer.js';

/** A virtual machine's place on the bridge. */
export interface BridgePort {
  /** The tap interface that QEMU opens. */
  readonly tap: string;
  readonly hardwareAddress: string;
  /** Address that the device will get. */
  readonly address: string;
  /** Takes the place off the bridge, and the bridge away when nothing else is on it. */
  readonly close: () => Promise<void>;
}

const bridge = 'davit0';

/**
 * Gives a virtual machine a place on the bridge `davit0` in the current network namespace, which is made if it is not there.
 * The host has 10.78.0.1 on it and answers DHCP for virtual devices only; multicast passes, so mDNS works.
 */
export async function openBridgePort(): Promise<BridgePort> {
  await requirePrograms('a bridged network', [{ program: 'ip', debianPackage: 'iproute2' }]);
  if (process.getuid?.() !== 0) {
    throw new Failure('permission', 'bridge-needs-root', 'making a network bridge needs root', {
      hint: 'Run it with sudo, or use --network user',
    });
  }
  const [high, low] = [randomInt(1, 255), randomInt(1, 255)];
  const hardwareAddress = virtualHardwareAddress(high, low);
  const tap = `davit-${high}-${low}`;
  await makeBridge();
  let dhcp: Socket | undefined;
  try {
    await ip('tuntap', 'add', 'dev', tap, 'mode', 'tap');
    // A port of the bridge has no address of its own: whoever asks on every interface would meet the network twice.
    await ip('link', 'set', tap, 'addrgenmode', 'none');
    await ip('link', 'set', tap, 'master', bridge, 'up');
    dhcp = await serveDhcp();
  } catch (error) {
    await removePort(tap);
    throw error;
  }
  return {
    tap,
    hardwareAddress,
    address: addressFor(hardwareAddress),
    close: async () => {
      if (dhcp !== undefined) await new Promise<void>((resolve) => dhcp.close(resolve));
      await removePort(tap);
    },
  };
}

async function makeBridge(): Promise<void> {
  // Multicast snooping without a querier on the bridge would lose IPv6 mDNS.
  const made = await run('ip', ['link', 'add', bridge, 'type', 'bridge', 'mcast_snooping', '0', 'forward_delay', '0']);
  const exists = made.exitCode === 0 || (await run('ip', ['link', 'show', bridge])).exitCode === 0;
  if (!exists) throw new Failure('failed', 'bridge-failed', `making the bridge ${bridge}: ${made.stderr.trim()}`);
  await ip('address', 'replace', `${bridgeAddress}/${bridgePrefix}`, 'dev', bridge);
  await ip('link', 'set', bridge, 'up');
}

/** Answers DHCP on the bridge; undefined when another davit in this network namespace already does. */
async function serveDhcp(): Promise<Socket | undefined> {
  const socket = createSocket('udp4');
  socket.on('message', (message) => {
    const answer = dhcpAnswer(message);
    // The device has no address yet: the answer goes to all on the bridge, and only there.
    if (answer !== undefined) socket.send(answer, 68, bridgeBroadcast);
  });
  try {
    socket.bind(67);
    await once(socket, 'listening');
  } catch (error) {
    if (systemErrorCode(error) === 'EADDRINUSE') return undefined;
    throw whileDoing('listening for DHCP on UDP port 67', error);
  }
  // The bridge may go away while an answer is on its way; the device asks again.
  socket.on('error', () => undefined);
  socket.setBroadcast(true);
  return socket;
}

async function removePort(tap: string): Promise<void> {
  await run('ip', ['link', 'delete', tap]);
  const others = await run('ip', ['-oneline', 'link', 'show', 'master', bridge]);
  if (others.exitCode === 0 && others.stdout.trim() === '') await run('ip', ['link', 'delete', bridge]);
}

async function ip(...words: string[]): Promise<void> {
  await runChecked(`setting up the bridge ${bridge}`, 'ip', words);
}
