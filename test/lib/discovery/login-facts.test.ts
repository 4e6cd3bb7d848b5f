import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseLoginFacts } from '../../../src/lib/discovery/login-facts.js';

it('reads what a device says, whatever is missing or strange', () => {
  const uuid = '63ec46c14d6bb1ee1ed1eb7a8e05ce0d';
  const lines = [
    `uuid=${uuid}`,
    '',
    'development=false',
    'PRETTY_NAME=balenaOS 6.8.1+rev2',
    'VARIANT_ID=prod',
    'SLUG=raspberrypi4-64',
  ];
  const more = [
    'supervisor=v17.1.2',
    'machine=aarch64',
    'flasher=yes',
    'engine=balena-engine version 20.10.43, build x',
  ];
  assert.deepEqual(parseLoginFacts([...lines, ...more].join('\n')), {
    uuid,
    mode: 'production',
    os: 'balenaOS 6.8.1+rev2',
    osVariant: 'prod',
    deviceType: 'raspberrypi4-64',
    architecture: 'aarch64',
    engineVersion: '20.10.43',
    supervisorVersion: '17.1.2',
    isFlasher: true,
  });
  const { uuid: none, os, ...others } = parseLoginFacts('uuid=x\nPRETTY_NAME=a\u001B[2Jb\n=\nnonsense\nengine=');
  assert.deepEqual([none, os], [null, 'a[2Jb']);
  assert.ok(Object.values(others).every((value) => value === null));
});
