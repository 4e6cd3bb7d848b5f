import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import type { BootConfigurationFlagValues } from '../../../src/lib/cli/boot-configuration-flags.js';
import { readBootConfigurationRequest } from '../../../src/lib/cli/read-boot-configuration-request.js';
import { processStreams } from '../../../src/lib/output/streams.js';

const flags: BootConfigurationFlagValues = {
  ...{ dev: undefined, hostname: undefined, network: undefined, config: undefined, 'ssh-key': undefined },
  ...{ dns: undefined, ntp: undefined, country: undefined, 'persistent-logging': undefined },
  profile: undefined,
  ...{ 'wifi-ssid': 'Office', 'wifi-key-file': '-', 'wifi-open': false, 'wifi-hidden': false },
};

describe('the configuration flags', () => {
  it('stop waiting for the Wi-Fi key on standard input when interrupted', async () => {
    const controller = new AbortController();
    const streams = { ...processStreams({ noColor: true }), stdin: new PassThrough() };
    const reading = readBootConfigurationRequest({ flags, raw: [] }, { streams, signal: controller.signal });
    streams.stdin.write('half a k');
    controller.abort();
    await assert.rejects(reading, { name: 'AbortError' });
  });
});
