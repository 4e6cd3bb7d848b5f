import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { davit, runProgram } from '../support/davit.js';
import { checked } from '../support/loop-device.js';
import {
  bootDevice,
  bootOffset,
  configuredImage,
  virtualDeviceMissing,
  type VirtualDevice,
} from '../support/virtual-device.js';

const office = `[connection]
id=office
type=ethernet
interface-name=eth9

[ipv4]
method=manual
address1=192.0.2.7/24
`;

/** Asks the question on every interface of the namespace that it runs in, and prints the records of the first answer. */
const askMdns = `
import os from 'node:os';
import multicastDns from 'multicast-dns';
const { address } = os.networkInterfaces().davit0.find(({ family }) => family === 'IPv4');
const socket = multicastDns({ interface: address, bind: '0.0.0.0' });
const ask = () => socket.query('_resin-device._sub._ssh._tcp.local', 'PTR');
socket.on('response', ({ answers, additionals }) => {
  const records = [...answers, ...additionals];
  if (!records.some(({ name }) => name === '_resin-device._sub._ssh._tcp.local')) return;
  console.log(JSON.stringify(records));
  socket.destroy();
  clearInterval(timer);
});
const timer = setInterval(ask, 500);
ask();
`;

describe('a device booted in development mode', { skip: virtualDeviceMissing, timeout: 600_000 }, () => {
  let folder: string;
  let device: VirtualDevice;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'davit-lab-'));
    const image = await configuredImage(folder, {
      config: {
        developmentMode: true,
        hostname: 'lab-device',
        persistentLogging: true,
        dnsServers: '192.0.2.53',
        ntpServers: 'ntp.example.org',
      },
      connections: { office, 'unused.ignore': office.replaceAll('office', 'unused') },
      extraBytes: 256 * 1024 * 1024,
    });
    device = await bootDevice(image, folder);
  });

  after(async () => {
    const result = await device.stop();
    await rm(folder, { recursive: true });
    assert.equal(result.exitCode, 0, result.stderr);
    assert.match(result.stdout, /"ended": "stopped"/);
  });

  it('has the hostname of config.json and takes SSH without a password on 22222', async () => {
    const answer = await device.ssh('hostname');
    assert.deepEqual([answer.stdout, answer.exitCode], ['lab-device\n', 0], answer.stderr);
  });

  it('answers as an engine of the balenaOS generation on 2375', async () => {
    const version = (await device.engine('/version')) as { ApiVersion: string };
    const info = (await device.engine('/info')) as { Name: string; OperatingSystem: string };
    assert.equal(version.ApiVersion, '1.41');
    assert.equal(info.Name, 'lab-device');
    assert.match(info.OperatingSystem, /not balenaOS/);
  });

  it('announces SSH by mDNS as balenaOS does, without a TXT record', async () => {
    const answer = await runProgram([process.execPath, '--input-type=module', '--eval', askMdns], {
      wrapper: device.wrapper,
    });
    const records = JSON.parse(answer.stdout) as { name: string; type: string; data: unknown }[];
    const of = (type: string) => records.filter((record) => record.type === type);
    assert.deepEqual(
      of('PTR').map(({ data }) => data),
      ['lab-device._ssh._tcp.local'],
    );
    assert.deepEqual(
      of('SRV').map(({ data }) => data),
      [{ priority: 0, weight: 0, port: 22222, target: 'lab-device.local' }],
    );
    // A service without a TXT record is announced with an empty one (RFC 6763, 6.1).
    assert.deepEqual(
      of('TXT').map(({ data }) => data),
      [[{ type: 'Buffer', data: [] }]],
    );
    assert.deepEqual(
      of('A').map(({ data }) => data),
      [device.address],
    );
  });

  it('is found by davit scan', async () => {
    const { stdout } = await davit(['scan', '--json'], { wrapper: device.wrapper });
    assert.match(stdout, /"lab-device.local"/);
  });

  it('gives NetworkManager the connections of the boot partition, except ignored ones', async () => {
    const { stdout } = await device.ssh(
      'nmcli --terse --fields NAME connection; stat -c %a /etc/NetworkManager/system-connections/office',
    );
    assert.match(stdout, /^office$/m);
    assert.doesNotMatch(stdout, /unused/);
    assert.match(stdout, /^600$/m);
  });

  it('follows dnsServers, ntpServers and persistentLogging', async () => {
    const { stdout } = await device.ssh(
      'cat /run/virtual-device/dnsmasq.d/*; timedatectl show-timesync --property SystemNTPServers; journalctl --header | grep "File path"',
    );
    assert.match(stdout, /^server=192\.0\.2\.53$/m);
    assert.match(stdout, /^server=8\.8\.8\.8$/m);
    assert.match(stdout, /^SystemNTPServers=ntp\.example\.org$/m);
    assert.match(stdout, /\/var\/log\/journal\//);
    const mounted = await device.ssh('findmnt --noheadings --output SOURCE /var/log/journal');
    assert.match(mounted.stdout, /root-overlay\/var\/log\/journal/);
  });

  it('grows the data partition into the free space behind it', async () => {
    const { stdout } = await device.ssh(
      'df --block-size=1M --output=size /mnt/data | tail -n 1; sgdisk --version 2>&1 | head -0; findmnt --noheadings --output TARGET /mnt/data',
    );
    const [size = ''] = stdout.split('\n');
    assert.ok(Number(size) > 400, `the data file system has ${size.trim()} MiB`);
  });

  it('runs a container made of nothing but a static program', async () => {
    const command =
      'tar -C / -c bin/busybox | balena-engine import - box && balena run --rm box /bin/busybox echo "hello from a container"';
    const answer = await device.ssh(command);
    assert.match(answer.stdout, /^hello from a container$/m, answer.stderr);
  });

  it('opens a console on its serial port', async () => {
    assert.match(await readFile(device.serialLog, 'latin1'), /lab-device login:/);
  });
});

describe('a device booted in production mode', { skip: virtualDeviceMissing, timeout: 600_000 }, () => {
  it('takes SSH keys only, keeps what makes it itself, and writes nothing to the image without --keep', async (t) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'davit-lab-'));
    t.after(() => rm(folder, { recursive: true }));
    const key = path.join(folder, 'key');
    await checked(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key]);
    const image = await configuredImage(folder, {
      config: { os: { sshKeys: [(await readFile(`${key}.pub`, 'utf8')).trim()] } },
    });
    const readConfig = async () =>
      JSON.parse(await checked(['mtype', '-i', `${image}@@${bootOffset}`, '::/config.json'])) as { uuid?: string };

    const forgotten = await bootDevice(image, folder);
    t.after(forgotten.stop);
    await forgotten.stop();
    assert.equal((await readConfig()).uuid, undefined);

    const first = await bootDevice(image, folder, ['--keep']);
    t.after(first.stop);
    assert.equal((await first.ssh('true')).exitCode, 255, 'SSH without the key is refused');
    const withKey = ['-i', key, '-o', 'IdentitiesOnly=yes'];
    const hostname = (await first.ssh('hostname', withKey)).stdout.trim();
    const connecting = await runProgram([...first.wrapper, 'curl', '--silent', `http://${first.address}:2375/_ping`]);
    assert.equal(connecting.exitCode, 7, 'the engine port is closed');
    const hostKeys = await hostKeysOf(first);
    assert.doesNotMatch(await readFile(first.serialLog, 'latin1'), /login:/);
    assert.equal((await first.stop()).exitCode, 0);

    const { uuid = '' } = await readConfig();
    assert.match(uuid, /^[0-9a-f]{32}$/);
    assert.equal(hostname, uuid.slice(0, 7));

    const second = await bootDevice(image, folder, ['--keep']);
    t.after(second.stop);
    assert.deepEqual(await hostKeysOf(second), hostKeys);
    await second.stop();
    assert.equal((await readConfig()).uuid, uuid);
  });
});

async function hostKeysOf(device: VirtualDevice): Promise<string[]> {
  const scanned = await runProgram(['ssh-keyscan', '-p', '22222', device.address], { wrapper: device.wrapper });
  return scanned.stdout
    .split('\n')
    .filter((line) => line.startsWith('['))
    .map((line) => line.split(' ').slice(1).join(' '))
    .sort();
}
