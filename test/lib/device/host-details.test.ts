import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { noHostDetails, parseHostDetails } from '../../../src/lib/device/host-details.js';

describe('parseHostDetails', () => {
  it('reads what a Raspberry Pi says', () => {
    const output = [
      'hostname=crane',
      'uptime=93784.27',
      'load=0.52 0.40 0.31',
      'MemTotal=3884372',
      'MemAvailable=3102240',
      'data=29664256 27123456',
      'model=Raspberry Pi 4 Model B Rev 1.4',
      'temperature=48212',
      'temperature=0',
      'api=https://api.balena-cloud.com',
      'root=B',
      'trial=yes',
      'interface=eth0 dc:a6:32:01:02:03',
      'interface=wlan0 dc:a6:32:01:02:04',
      'address=eth0 192.168.1.20/24',
      'address=eth0 2001:db8::1/64',
      'address=balena0 10.114.101.1/24',
      'connection=eth0:Wired connection 1',
    ].join('\n');
    assert.deepEqual(parseHostDetails(output), {
      hostname: 'crane',
      model: 'Raspberry Pi 4 Model B Rev 1.4',
      uptimeSeconds: 93784.27,
      load: [0.52, 0.4, 0.31],
      memory: { total: 3884372 * 1024, available: 3102240 * 1024 },
      data: { total: 29664256 * 1024, available: 27123456 * 1024 },
      temperature: 48.2,
      root: 'B',
      isOnTrial: true,
      apiEndpoint: 'https://api.balena-cloud.com',
      interfaces: [
        {
          name: 'eth0',
          mac: 'dc:a6:32:01:02:03',
          addresses: ['192.168.1.20/24', '2001:db8::1/64'],
          connection: 'Wired connection 1',
        },
        { name: 'wlan0', mac: 'dc:a6:32:01:02:04', addresses: [], connection: null },
      ],
    });
  });

  it('takes nothing for a fact that cannot be one', () => {
    const hostile = [
      '',
      'uptime=-1',
      'load=a b c',
      'MemTotal=x',
      'data=12',
      'temperature=-273000',
      'root=C',
      'hostname=\u001b[2J',
      'no line at all',
    ];
    assert.deepEqual(parseHostDetails(hostile.join('\n')), { ...noHostDetails, hostname: '[2J' });
  });
});
