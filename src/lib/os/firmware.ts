import { access } from 'node:fs/promises';
import { Failure } from '../failure/failure.js';

/** UEFI firmware for x86-64 machines: its code, and the variables that it starts with. */
export interface Firmware {
  readonly code: string;
  readonly variables: string;
}

/** Where distributions put OVMF without Secure Boot: Debian and Ubuntu, Fedora, Arch, openSUSE. */
const places: readonly Firmware[] = [
  { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  { code: '/usr/share/OVMF/OVMF_CODE.fd', variables: '/usr/share/OVMF/OVMF_VARS.fd' },
  { code: '/usr/share/edk2/ovmf/OVMF_CODE.fd', variables: '/usr/share/edk2/ovmf/OVMF_VARS.fd' },
  { code: '/usr/share/edk2/x64/OVMF_CODE.4m.fd', variables: '/usr/share/edk2/x64/OVMF_VARS.4m.fd' },
  { code: '/usr/share/qemu/ovmf-x86_64-code.bin', variables: '/usr/share/qemu/ovmf-x86_64-vars.bin' },
];

/** The installed firmware. */
export async function findFirmware(candidates: readonly Firmware[] = places): Promise<Firmware> {
  for (const firmware of candidates) {
    const isThere = await Promise.all([access(firmware.code), access(firmware.variables)]).then(
      () => true,
      () => false,
    );
    if (isThere) return firmware;
  }
  throw new Failure(
    'not-found',
    'firmware-not-found',
    'booting an image needs the UEFI firmware OVMF, which this computer does not have',
    { hint: 'On Debian or Ubuntu: sudo apt-get install ovmf' },
  );
}
