import { once } from 'node:events';
import { accessSync } from 'node:fs';
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { JsonObject } from '../../src/lib/platform/json.js';
import { davit, type DavitResult, projectRoot, runProgram, startDavit } from './davit.js';
import { checked } from './loop-device.js';
import { createNetwork, networkSkipReason } from './network-namespace.js';

/** Why tests that build and boot a device cannot run here, or false where they can. */
export const virtualDeviceMissing: string | false = missingPrograms() ?? networkSkipReason();

function missingPrograms(): string | undefined {
  const needed = [
    '/usr/bin/mmdebstrap',
    '/usr/bin/qemu-system-x86_64',
    '/usr/share/OVMF',
    '/usr/bin/mcopy',
    '/sbin/sgdisk',
  ];
  for (const file of needed) {
    try {
      accessSync(file);
    } catch {
      return `${file} is not installed`;
    }
  }
  return undefined;
}

/** First byte of the boot partition, for mtools: `image@@bootOffset`. */
export const bootOffset = 4 * 1024 * 1024;

/** An image of the shipped recipe, built once and kept between test runs; nobody may write to it. */
export async function builtImage(): Promise<string> {
  const folder = path.join(projectRoot, '.build');
  await mkdir(folder, { recursive: true });
  const image = path.join(folder, 'virtual-device.img');
  const built = await davit(['os', 'build', 'virtual-amd64', '--output', image], { timeoutMs: 600_000 });
  if (built.exitCode !== 0) throw new Error(`building the image failed: ${built.stderr}`);
  return image;
}

/** What is written into the boot partition of a copy of the image. */
export interface BootChanges {
  /** Laid over the image's config.json. */
  readonly config?: JsonObject;
  /** Files of `system-connections`, by name. */
  readonly connections?: Readonly<Record<string, string>>;
  /** Free bytes to add behind the last partition, as on a card larger than the image. */
  readonly extraBytes?: number;
}

/** Copies the built image into a folder and changes the copy; plain mtools, so that it depends on no other command. */
export async function configuredImage(folder: string, changes: BootChanges): Promise<string> {
  const image = path.join(folder, 'device.img');
  await checked(['cp', '--sparse=always', await builtImage(), image]);
  const drive = `${image}@@${bootOffset}`;
  const config = path.join(folder, 'config.json');
  await writeFile(config, JSON.stringify({ deviceType: 'virtual-amd64', persistentLogging: false, ...changes.config }));
  await checked(['mcopy', '-o', '-i', drive, config, '::/config.json']);
  for (const [name, text] of Object.entries(changes.connections ?? {})) {
    const file = path.join(folder, 'connection');
    await writeFile(file, text);
    await checked(['mcopy', '-o', '-i', drive, file, `::/system-connections/${name}`]);
  }
  if (changes.extraBytes !== undefined) {
    const { size } = await readJson(['stat', '--format', '{"size":%s}', image]);
    await truncate(image, Number(size) + changes.extraBytes);
  }
  return image;
}

/** A device that was booted in QEMU in a network namespace of its own. */
export interface VirtualDevice {
  readonly address: string;
  /** Words put before a command to run it in the network namespace of the user's computer. */
  readonly wrapper: readonly string[];
  readonly serialLog: string;
  /** Runs a command on the device over SSH, as root; the input goes to its standard input. */
  readonly ssh: (command: string, sshOptions?: readonly string[], input?: string | Uint8Array) => Promise<DavitResult>;
  /** What the engine answers to a GET request. */
  readonly engine: (path: string) => Promise<unknown>;
  /** Switches the device off with Ctrl-C and gives what `davit os run` left behind. */
  readonly stop: () => Promise<DavitResult>;
}

/**
 * Boots an image with `davit os run` on a bridge, and resolves when the device is ready. With an address of its own it is ready when SSH
 * answers there: `davit os run` waits for the one that it gives by DHCP.
 */
export async function bootDevice(
  image: string,
  folder: string,
  flags: readonly string[] = [],
  ownAddress?: string,
): Promise<VirtualDevice> {
  const network = await createNetwork([]);
  const { wrapper } = network;
  const readyFile = path.join(folder, `ready-${network.host}.json`);
  const serialLog = path.join(folder, `serial-${network.host}.log`);
  const davitRun = startDavit(
    [
      'os',
      'run',
      image,
      '--network',
      'bridge',
      '--ready-file',
      readyFile,
      '--serial-log',
      serialLog,
      '--json',
      ...flags,
    ],
    { wrapper },
  );
  let stdout = '';
  let stderr = '';
  davitRun.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  davitRun.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = once(davitRun, 'close');
  const isRunning = () => davitRun.exitCode === null && davitRun.signalCode === null;
  const end = async (): Promise<DavitResult> => {
    if (isRunning()) davitRun.kill('SIGINT');
    await ended;
    await network.close();
    return { exitCode: davitRun.exitCode, signal: davitRun.signalCode, stdout, stderr };
  };
  let stopping: Promise<DavitResult> | undefined;
  const stop = () => (stopping ??= end());

  const isReady = async () => {
    if (ownAddress === undefined) return readFile(readyFile, 'utf8').catch(() => undefined);
    const endpoint = { address: ownAddress, port: 22222 };
    const greeting = `exec 3<>/dev/tcp/${ownAddress}/${endpoint.port}; read -r -t 3 line <&3; [[ $line == SSH-* ]]`;
    const { exitCode } = await runProgram(['timeout', '4', 'bash', '-c', greeting], { wrapper });
    return exitCode === 0 ? JSON.stringify({ ssh: endpoint }) : undefined;
  };
  let ready: string | undefined;
  while (ready === undefined) {
    ready = await isReady();
    if (!isRunning()) {
      await stop();
      throw new Error(`davit os run ended before the device was ready: ${stdout}${stderr}`);
    }
    await delay(100);
  }
  const { ssh } = JSON.parse(ready) as { ssh: { address: string; port: number } };
  const insecure = [
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'LogLevel=ERROR',
    '-o',
    'BatchMode=yes',
  ];
  return {
    address: ssh.address,
    wrapper,
    serialLog,
    stop,
    ssh: (command, sshOptions = [], input = '') =>
      runProgram(['ssh', '-p', String(ssh.port), ...insecure, ...sshOptions, `root@${ssh.address}`, command], {
        ...{ wrapper, input, timeoutMs: 180_000 },
      }),
    engine: (request) =>
      readJson([...wrapper, 'curl', '--silent', '--show-error', `http://${ssh.address}:2375${request}`]),
  };
}

async function readJson(words: readonly string[]): Promise<Record<string, unknown>> {
  return JSON.parse(await checked(words)) as Record<string, unknown>;
}
