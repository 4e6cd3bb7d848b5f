import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findDrivePlace } from '../../../src/lib/drives/drive-place.js';
import { type FakeDevice, fakeHost } from '../../support/fake-host.js';

const usb = 'pci0000:00/0000:00:14.0/usb1/1-2/1-2.3';

const drives: Readonly<Record<string, readonly [device: FakeDevice, place: object]>> = {
  'a USB stick': [
    {
      number: '8:16',
      at: `${usb}/1-2.3:1.0/host6/target6:0:0/6:0:0:0/block`,
      attributes: {
        removable: '1',
        'device/vendor': 'SanDisk ',
        'device/model': 'Ultra           ',
        '../../../../../../serial': '4C530001',
      },
    },
    { bus: 'usb', slot: 'usb-1-2.3', model: 'SanDisk Ultra', serial: '4C530001', isRemovable: true, isVirtual: false },
  ],
  'the second slot of a card reader': [
    { number: '8:32', at: `${usb}/1-2.3:1.0/host6/target6:0:0/6:0:0:1/block`, attributes: { removable: '1' } },
    { bus: 'usb', slot: 'usb-1-2.3:1', model: undefined, serial: undefined, isRemovable: true, isVirtual: false },
  ],
  'a USB disk, which does not call itself removable': [
    { number: '8:48', at: `${usb}/1-2.3:1.0/host6/target6:0:0/6:0:0:0/block`, attributes: { removable: '0' } },
    { bus: 'usb', slot: 'usb-1-2.3', model: undefined, serial: undefined, isRemovable: true, isVirtual: false },
  ],
  'an SD card': [
    {
      number: '179:0',
      at: 'pci0000:00/0000:00:1d.0/rtsx_pci_sdmmc.0/mmc_host/mmc0/mmc0:aaaa/block',
      attributes: { removable: '0', 'device/type': 'SD', 'device/name': 'SC32G', 'device/serial': '0x1234abcd' },
    },
    { bus: 'mmc', slot: 'mmc0', model: 'SC32G', serial: '0x1234abcd', isRemovable: true, isVirtual: false },
  ],
  'eMMC, which is soldered': [
    {
      number: '179:8',
      at: 'platform/soc/fe340000.mmc/mmc_host/mmc1/mmc1:0001/block',
      attributes: { removable: '0', 'device/type': 'MMC', 'device/name': 'BJTD4R' },
    },
    { bus: 'mmc', slot: 'mmc1', model: 'BJTD4R', serial: undefined, isRemovable: false, isVirtual: false },
  ],
  'a SATA disk': [
    {
      number: '8:0',
      at: 'pci0000:00/0000:00:17.0/ata2/host1/target1:0:0/1:0:0:0/block',
      attributes: { removable: '0', 'device/vendor': 'ATA     ', 'device/model': 'Samsung SSD 870' },
    },
    { bus: 'sata', slot: 'ata2', model: 'Samsung SSD 870', serial: undefined, isRemovable: false, isVirtual: false },
  ],
  'an NVMe disk': [
    {
      number: '259:0',
      at: 'pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0',
      attributes: { removable: '0', 'device/vendor': '0x144d', 'device/model': 'WD Black', 'device/serial': 'A1 ' },
    },
    { bus: 'nvme', slot: undefined, model: 'WD Black', serial: 'A1', isRemovable: false, isVirtual: false },
  ],
  'an NVMe disk with more than one controller': [
    {
      number: '259:1',
      at: 'virtual/nvme-subsystem/nvme-subsys0',
      attributes: { removable: '0', 'device/model': 'Samsung SSD 990 PRO', 'device/serial': 'S6Z1' },
    },
    {
      bus: 'nvme',
      slot: undefined,
      model: 'Samsung SSD 990 PRO',
      serial: 'S6Z1',
      isRemovable: false,
      isVirtual: false,
    },
  ],
  'the disk of a virtual machine': [
    { number: '254:0', at: 'pci0000:00/0000:00:02.0/virtio1/block', attributes: { removable: '0', serial: 'v1' } },
    { bus: 'virtio', slot: undefined, model: undefined, serial: 'v1', isRemovable: false, isVirtual: false },
  ],
  'a disk of Xen': [
    { number: '202:0', at: 'vbd-51712/block', attributes: { removable: '0' } },
    { bus: 'xen', slot: undefined, model: undefined, serial: undefined, isRemovable: false, isVirtual: false },
  ],
  'a loop device': [
    { number: '7:0', at: 'virtual/block', attributes: { removable: '0' } },
    { bus: 'loop', slot: undefined, model: undefined, serial: undefined, isRemovable: false, isVirtual: true },
  ],
};

for (const [what, [device, place]] of Object.entries(drives)) {
  test(`tells ${what} by where it is plugged in`, async (t) => {
    const name = device.at === 'virtual/block' ? 'loop0' : 'sdx';
    const host = await fakeHost(t, { devices: { [name]: device } });
    assert.deepEqual(await findDrivePlace(host, name), place);
  });
}
