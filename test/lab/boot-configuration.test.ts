import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { isRecord } from '../../src/lib/platform/json.js';
import { davit, davitJson } from '../support/davit.js';
import { writeFatInTurn } from '../support/fat-by-kernel.js';
import { writeTree } from '../support/file-tree.js';
import { checked } from '../support/loop-device.js';
import { makePng } from '../support/png.js';
import { bootDevice, builtImage, type VirtualDevice, virtualDeviceMissing } from '../support/virtual-device.js';

/** On the bridge of virtual devices, but not what any of them gets by DHCP. */
const address = '10.78.0.77';

const wireguardKey = Buffer.alloc(32, 7).toString('base64');
const peerKey = Buffer.alloc(32, 250).toString('base64');

/** Networks of every kind, as a profile has them; they stay idle but for the first. */
const networks = `
  wired:
    type: ethernet
    ipv4: { addresses: [${address}/16], gateway: 10.78.0.1, dns: [10.78.0.1] }
  machine:
    type: ethernet
    interface: eth7
    hardwareAddress: 02:00:5e:10:00:01
    mtu: 1400
    ipv4: { addresses: [10.0.0.2/24, 10.0.1.2/24], default: false, routes: [{ to: 10.1.0.0/16, via: 10.0.0.1, metric: 7 }] }
    ipv6: { addresses: [fd00::5/64], gateway: fd00::1, dns: [fd00::53], search: [example.com] }
  cafe: { type: wifi, ssid: "Café #1; x", security: open, priority: -7, metered: true }
  office: { type: wifi, ssid: " Büro\\\\1 ", key: ' p;a#s=s\\word', hidden: true, band: 5GHz, channel: 36, bssid: 02:00:5E:10:00:02, mac: random }
  bytes: { type: wifi, ssidHex: ff00fe, key: '${'0123456789abcdef'.repeat(4)}', interface: wlan0 }
  new: { type: wifi, ssid: WPA3, key: sae, security: wpa3 }
  peap: { type: wifi, ssid: Corp, enterprise: { method: peap, identity: me;1, password: ' s3\\;cret', anonymousIdentity: any@x, caCertificateFile: ca.pem, domain: corp.example } }
  ttls: { type: wifi, ssid: Corp, enterprise: { method: ttls, identity: me, password: s3cret, innerMethod: pap, caCertificateFile: ca.pem } }
  tls: { type: wifi, ssid: Corp, security: wpa3, enterprise: { method: tls, identity: me, caCertificateFile: ca.pem, clientCertificateFile: ca.pem, privateKeyFile: client.key } }
  suite-b: { type: wifi, ssid: Corp, security: wpa3-192, enterprise: { method: tls, identity: me, clientCertificateFile: ca.pem, privateKeyFile: client.key } }
  switch: { type: ethernet, interface: eth8, enterprise: { method: peap, identity: me, password: s3cret } }
  modem: { type: cellular, apn: internet.example, user: 'u;1', password: ' p\\w', pin: '0012', roaming: false, priority: -1 }
  any-modem: { type: cellular }
  cameras: { type: vlan, parent: eth7, id: 12, ipv4: { addresses: [10.12.0.5/24] } }
  lan0: { type: bridge, interface: lan0, ports: [eth5, eth6], stp: false, autoconnect: false }
  bond0: { type: bond, interface: bond0, ports: [eth3, eth4], mode: active-backup, options: { miimon: '100' }, autoconnect: false }
  set-up: { type: access-point, interface: wlan0, ssid: Kiosk set-up, key: change-me-now, band: 2.4GHz, channel: 6, ipv4: { method: shared, addresses: [192.168.42.1/24] } }
  home:
    type: wireguard
    interface: wg0
    autoconnect: false
    privateKey: ${wireguardKey}
    listenPort: 51820
    ipv4: { addresses: [10.9.0.2/32] }
    peers: [{ publicKey: ${peerKey}, endpoint: "vpn.example.com:51820", allowedIps: [10.9.0.0/24], keepalive: 25 }]
`;

const folderOnDevice = '/mnt/boot/system-connections';

/** What NetworkManager must know of each, by the names of its settings; nmcli shows no names that are not UTF-8. */
const understood: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  wired: {
    'connection.type': '802-3-ethernet',
    'ipv4.method': 'manual',
    'ipv4.addresses': `${address}/16`,
    'ipv4.gateway': '10.78.0.1',
    'ipv4.dns': '10.78.0.1',
  },
  machine: {
    ...{
      'connection.interface-name': 'eth7',
      '802-3-ethernet.mtu': '1400',
      '802-3-ethernet.mac-address': '02:00:5E:10:00:01',
    },
    ...{ 'ipv4.addresses': '10.0.0.2/24, 10.0.1.2/24', 'ipv4.never-default': 'yes', 'ipv6.addresses': 'fd00::5/64' },
    ...{ 'ipv6.gateway': 'fd00::1', 'ipv6.dns': 'fd00::53', 'ipv6.dns-search': 'example.com' },
    'ipv4.routes': '10.1.0.0/16 10.0.0.1 7',
  },
  cafe: { '802-11-wireless.ssid': 'Café #1; x', 'connection.autoconnect-priority': '-7', 'connection.metered': 'yes' },
  office: {
    ...{ '802-11-wireless.ssid': ' Büro\\1 ', '802-11-wireless.hidden': 'yes', '802-11-wireless.band': 'a' },
    ...{ '802-11-wireless.channel': '36', '802-11-wireless.bssid': '02:00:5E:10:00:02' },
    ...{ '802-11-wireless.cloned-mac-address': 'random', '802-11-wireless-security.key-mgmt': 'wpa-psk' },
    '802-11-wireless-security.psk': ' p;a#s=s\\word',
  },
  bytes: { 'connection.interface-name': 'wlan0', '802-11-wireless-security.psk': '0123456789abcdef'.repeat(4) },
  new: { '802-11-wireless-security.key-mgmt': 'sae', '802-11-wireless-security.psk': 'sae' },
  peap: {
    ...{ '802-11-wireless-security.key-mgmt': 'wpa-eap', '802-1x.eap': 'peap', '802-1x.phase2-auth': 'mschapv2' },
    ...{ '802-1x.identity': 'me;1', '802-1x.password': ' s3\\;cret', '802-1x.anonymous-identity': 'any@x' },
    ...{ '802-1x.ca-cert': `${folderOnDevice}/peap-ca.pem`, '802-1x.domain-suffix-match': 'corp.example' },
  },
  ttls: { '802-1x.eap': 'ttls', '802-1x.phase2-auth': 'pap', '802-1x.password': 's3cret' },
  tls: {
    ...{
      '802-1x.eap': 'tls',
      '802-1x.client-cert': `${folderOnDevice}/tls-client.pem`,
      '802-11-wireless-security.pmf': '3',
    },
    '802-1x.private-key': `${folderOnDevice}/tls-key.pem`,
  },
  'suite-b': { '802-11-wireless-security.key-mgmt': 'wpa-eap-suite-b-192' },
  switch: { 'connection.type': '802-3-ethernet', '802-1x.eap': 'peap', '802-1x.identity': 'me' },
  modem: {
    ...{ 'gsm.apn': 'internet.example', 'gsm.username': 'u;1', 'gsm.password': ' p\\w', 'gsm.pin': '0012' },
    'gsm.home-only': 'yes',
  },
  'any-modem': { 'connection.type': 'gsm', 'gsm.auto-config': 'yes' },
  cameras: { 'connection.type': 'vlan', 'vlan.parent': 'eth7', 'vlan.id': '12', 'ipv4.addresses': '10.12.0.5/24' },
  lan0: {
    'connection.type': 'bridge',
    'connection.interface-name': 'lan0',
    'bridge.stp': 'no',
    'connection.autoconnect': 'no',
  },
  'lan0-port-eth5': { 'connection.slave-type': 'bridge', 'connection.interface-name': 'eth5' },
  bond0: { 'connection.type': 'bond', 'bond.options': 'mode=active-backup,miimon=100' },
  'bond0-port-eth4': { 'connection.slave-type': 'bond', 'connection.interface-name': 'eth4' },
  'set-up': {
    ...{ '802-11-wireless.mode': 'ap', '802-11-wireless-security.psk': 'change-me-now', 'ipv4.method': 'shared' },
    'ipv4.addresses': '192.168.42.1/24',
  },
  home: {
    'connection.type': 'wireguard',
    'wireguard.private-key': wireguardKey,
    'wireguard.listen-port': '51820',
    'ipv4.addresses': '10.9.0.2/32',
  },
  // A ready key file of the user's.
  workshop: { 'connection.type': '802-3-ethernet', 'connection.interface-name': 'eth9' },
};

const workshop = '[connection]\nid=workshop\ntype=ethernet\ninterface-name=eth9\n';

const profile = `
mode: production
hostname: static-heron
sshKeys: [id.pub]
persistentLogging: true
country: DE
dns: [192.0.2.53]
ntp: [ntp.example.org]
splash: logo.png
connectionFiles: [workshop.nmconnection]
dispatcherScripts: [90-hook]
proxy: { type: socks5, host: 10.78.0.1, port: 1080, login: me, password: 'p"1' }
bootFiles: { 'notes/read me.txt': notes.txt }
networks:${networks}`;

describe('a device that boots with one profile', { skip: virtualDeviceMissing, timeout: 900_000 }, () => {
  let folder = '';
  let device: VirtualDevice;
  const logo = makePng(64, 48);

  /** Runs a command on the device with the one key that may log in. */
  const onDevice = async (command: string) => {
    const key = ['-i', path.join(folder, 'id'), '-o', 'IdentitiesOnly=yes'];
    const { exitCode, stdout, stderr } = await device.ssh(command, key);
    assert.equal(exitCode, 0, stderr);
    return stdout;
  };

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'davit-lab-'));
    const at = (name: string) => path.join(folder, name);
    await checked(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', at('id')]);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at('client.key')];
    await checked(['openssl', 'req', '-x509', ...key, '-subj', '/CN=device', '-out', at('ca.pem')]);
    await writeTree(folder, {
      ...{ 'profile.yaml': profile, 'logo.png': logo, 'workshop.nmconnection': workshop },
      ...{ '90-hook': '#!/bin/sh\nexit 0\n', 'notes.txt': 'ünï' },
    });
    const words = ['os', 'configure', await builtImage(), '--output', at('heron.img'), '--profile', at('profile.yaml')];
    const configured = await davit(words);
    assert.equal(configured.exitCode, 0, configured.stderr);
    device = await bootDevice(at('heron.img'), folder, ['--timeout', '3600'], address);
  });

  after(async () => {
    await device.stop();
    await rm(folder, { recursive: true });
  });

  it('is reached at its own address by the key of the profile, and by nobody else', async () => {
    assert.equal(await onDevice('hostname'), 'static-heron\n');
    assert.match(await onDevice('ip -4 -brief address show scope global'), new RegExp(`\\s${address}/16\\s`));
    const without = await device.ssh('true', ['-o', 'IdentitiesOnly=yes', '-o', 'IdentityFile=/dev/null']);
    assert.equal(without.exitCode, 255);
    assert.match(without.stderr, /Permission denied \(publickey\)/);
  });

  it('announces its name by mDNS, at that address', async () => {
    const { document, stderr } = await davitJson(['scan'], {
      ...{ wrapper: device.wrapper, environment: { DAVIT_DATA_DIR: path.join(folder, 'data') } },
    });
    assert.ok(isRecord(document) && Array.isArray(document.devices), stderr);
    const found: unknown = document.devices[0];
    assert.ok(isRecord(found) && Array.isArray(found.addresses), stderr);
    assert.equal(found.hostname, 'static-heron.local');
    assert.ok(found.addresses.includes(address), JSON.stringify(found));
  });

  it('asks the name servers and time servers of the profile, and keeps its log', async () => {
    const said = await onDevice(
      'cat /run/virtual-device/dnsmasq.d/*; timedatectl show-timesync --property SystemNTPServers; journalctl --header | grep "File path"',
    );
    assert.match(said, /^server=192\.0\.2\.53$/m);
    assert.match(said, /^SystemNTPServers=ntp\.example\.org$/m);
    assert.match(said, /\/var\/log\/journal\//);
  });

  it('has the logo and the other files on its boot partition, as the kernel reads it', async () => {
    const digest = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');
    const said = await onDevice(
      'cd /mnt/boot && ls splash && sha256sum splash/balena-logo.png "notes/read me.txt" dispatcher.d/90-hook && cat system-proxy/redsocks.conf && jq .country config.json',
    );
    assert.match(said, /^balena-logo\.png\n[0-9a-f]{64} /, 'there is one logo');
    for (const content of [logo, 'ünï', '#!/bin/sh\nexit 0\n'])
      assert.ok(said.includes(digest(content)), String(content));
    assert.ok(said.includes('password = "p\\"1";'), said);
    assert.match(said, /^"DE"$/m);
    assert.doesNotMatch(await onDevice('dmesg'), /FAT-fs .*(error|not properly unmounted)/i);
  });

  it('has NetworkManager know every kind of network as the profile means it', async () => {
    const fieldsOf = (name: string) => Object.keys(understood[name] ?? {}).join(',');
    const show = 'nmcli --terse --escape no --show-secrets --fields';
    const commands = Object.keys(understood).map(
      (name) => `echo "== ${name}"; ${show} ${fieldsOf(name)} connection show ${name}`,
    );
    const readAll = async () => {
      const said = await onDevice(['export LC_ALL=C.UTF-8', ...commands].join('; '));
      const blocks = said.split(/^== /m).slice(1);
      return Object.fromEntries(
        blocks.map((block) => {
          const [name = '', ...lines] = block.split('\n').filter((line) => line !== '');
          const values = lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]);
          return [name, Object.fromEntries(values) as unknown];
        }),
      );
    };
    let read = await readAll();
    // nmcli shows an empty secret where NetworkManager was too busy to give it.
    for (let again = 0; again < 2 && !isDeepStrictEqual(read, understood); again += 1) read = await readAll();
    assert.deepEqual(read, understood);
  });

  it('has NetworkManager load each file again when it is asked to', async () => {
    const said = await onDevice(
      'cd /etc/NetworkManager/system-connections && for file in $(ls | grep -vE "[.](ignore|pem|der)$"); do nmcli connection load $PWD/$file || echo "BAD $file"; done; ls | grep -vcE "[.](ignore|pem|der)$"; nmcli --terse --fields FILENAME connection show | grep -c /etc/NetworkManager/system-connections',
    );
    const [files, loaded, ...more] = said.trim().split('\n');
    assert.deepEqual([loaded, more], [files, []], said);
    // Two bridge ports and two bond ports, of which the table names one each.
    assert.equal(Number(files), Object.keys(understood).length + 2);
  });

  it('agrees with davit, by its kernel, about FAT file systems that both write in turn', async (t) => {
    const key = ['-i', path.join(folder, 'id'), '-o', 'IdentitiesOnly=yes'];
    await writeFatInTurn(t, async (script, input) => {
      const { exitCode, stdout, stderr } = await device.ssh(script, key, input);
      assert.equal(exitCode, 0, stderr);
      return stdout;
    });
    assert.doesNotMatch(await onDevice('dmesg'), /FAT-fs .*(error|corrupt|not properly unmounted)/i);
  });
});
