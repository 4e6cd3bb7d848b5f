import { createServer, type Server } from 'node:net';
import { type BridgePort, openBridgePort } from './bridge-network.js';
import type { Endpoint } from './device-answers.js';
import type { MachineNetwork } from './machine-options.js';

/** The ways a virtual device can be on a network. */
export const networkKinds = ['user', 'bridge'] as const;
export type NetworkKind = (typeof networkKinds)[number];

/** Where the documented services of a device are reached from this computer. */
export interface DeviceEndpoints {
  readonly ssh: Endpoint;
  readonly engine: Endpoint;
  readonly supervisor: Endpoint;
}

/** A virtual device's place on a network. */
export interface DeviceNetwork {
  readonly network: MachineNetwork;
  readonly endpoints: DeviceEndpoints;
  readonly close: () => Promise<void>;
}

const ports = { ssh: 22222, engine: 2375, supervisor: 48484 } as const;

/** Prepares a place on a network of the given kind. */
export async function openNetwork(kind: NetworkKind): Promise<DeviceNetwork> {
  return kind === 'bridge' ? onBridge(await openBridgePort()) : forwarded(await freePorts());
}

function onBridge({ tap, hardwareAddress, address, close }: BridgePort): DeviceNetwork {
  const at = (port: number): Endpoint => ({ address, port });
  return {
    network: { kind: 'bridge', tap, hardwareAddress },
    endpoints: { ssh: at(ports.ssh), engine: at(ports.engine), supervisor: at(ports.supervisor) },
    close,
  };
}

function forwarded([ssh, engine, supervisor]: readonly [number, number, number]): DeviceNetwork {
  const at = (port: number): Endpoint => ({ address: '127.0.0.1', port });
  return {
    network: {
      kind: 'user',
      forwards: [
        { hostPort: ssh, devicePort: ports.ssh },
        { hostPort: engine, devicePort: ports.engine },
        { hostPort: supervisor, devicePort: ports.supervisor },
      ],
    },
    endpoints: { ssh: at(ssh), engine: at(engine), supervisor: at(supervisor) },
    close: () => Promise.resolve(),
  };
}

/** Three ports of 127.0.0.1 that nothing listens on: held together, so that they differ, then let go for QEMU to take. */
async function freePorts(): Promise<[number, number, number]> {
  const servers = [createServer(), createServer(), createServer()] as const;
  const listen = (server: Server) =>
    new Promise<number>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        if (address === null || typeof address === 'string') reject(new Error('a TCP server has no port'));
        else resolve(address.port);
      });
    });
  try {
    return [await listen(servers[0]), await listen(servers[1]), await listen(servers[2])];
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}
