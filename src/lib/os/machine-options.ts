import type { Firmware } from './firmware.js';

/** A virtual machine's way to the network. */
export type MachineNetwork =
  | { readonly kind: 'user'; readonly forwards: readonly PortForward[] }
  | { readonly kind: 'bridge'; readonly tap: string; readonly hardwareAddress: string };

/** A port of the host, on 127.0.0.1, that leads to one of the device. */
interface PortForward {
  readonly hostPort: number;
  readonly devicePort: number;
}

/** What a virtual machine is made of. */
export interface Machine {
  /** Image file or block device. */
  readonly disk: string;
  /** Whether what the device writes stays on the disk; otherwise it is forgotten when the machine ends. */
  readonly keep: boolean;
  readonly memoryMiB: number;
  readonly firmware: Firmware;
  readonly network: MachineNetwork;
}

/** How the processor of a virtual machine is provided: by the host's, or by emulation. */
export type Accelerator = 'kvm' | 'tcg';

/**
 * Options of `qemu-system-x86_64`. The serial console is descriptor 3 and QEMU's monitor (QMP) is descriptor 4, so that
 * nothing is left in the file system, whatever ends the process.
 */
export function machineOptions(machine: Machine, accelerator: Accelerator): string[] {
  const { disk, keep, memoryMiB, firmware, network } = machine;
  const drive = keep ? 'snapshot=off,cache=writeback' : 'snapshot=on,cache=unsafe';
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-machine', 'q35', '-smp', '2', '-m', `${memoryMiB}M`],
    ...(accelerator === 'kvm' ? ['-accel', 'kvm', '-cpu', 'host'] : ['-accel', 'tcg,thread=multi']),
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${escapeComma(firmware.code)}`],
    // The firmware may write its variables; the installed file stays as it is.
    ...['-drive', `if=pflash,unit=1,format=raw,snapshot=on,file=${escapeComma(firmware.variables)}`],
    // The cloud kernel has NVMe built in, and balenaOS for x86-64 computers knows it too.
    ...['-drive', `if=none,id=disk,format=raw,${drive},file=${escapeComma(disk)}`],
    ...['-device', 'nvme,drive=disk,serial=davit,bootindex=1'],
    ...networkOptions(network),
    ...['-device', 'virtio-rng-pci'],
    ...['-chardev', 'socket,id=serial,fd=3', '-serial', 'chardev:serial'],
    ...['-chardev', 'socket,id=monitor,fd=4', '-mon', 'chardev=monitor,mode=control'],
  ];
}

function networkOptions(network: MachineNetwork): string[] {
  // Without its boot ROM the card costs no time before the disk is started.
  const card = 'virtio-net-pci,netdev=net,romfile=';
  if (network.kind === 'bridge') {
    const { tap, hardwareAddress } = network;
    return [
      ...['-netdev', `tap,id=net,ifname=${tap},script=no,downscript=no`],
      ...['-device', `${card},mac=${hardwareAddress}`],
    ];
  }
  const forwards = network.forwards.map((one) => `,hostfwd=tcp:127.0.0.1:${one.hostPort}-:${one.devicePort}`);
  return ['-netdev', `user,id=net${forwards.join('')}`, '-device', card];
}

/** A comma ends an option's value for QEMU, unless it is doubled. */
function escapeComma(file: string): string {
  return file.replaceAll(',', ',,');
}
