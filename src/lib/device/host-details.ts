import { factLines } from '../discovery/login-facts.js';

/** How much of something there is, in bytes. */
export interface Amount {
  readonly total: number;
  readonly available: number;
}

/** A network interface of a device. */
export interface DeviceInterface {
  readonly name: string;
  readonly mac: string | null;
  /** With the length of the prefix: `192.168.1.20/24`. */
  readonly addresses: readonly string[];
  /** What NetworkManager calls the connection that is active on it. */
  readonly connection: string | null;
}

/** What only the host of a device knows about itself. What it does not tell is null. */
export interface HostDetails {
  readonly hostname: string | null;
  /** `Raspberry Pi 4 Model B Rev 1.4` */
  readonly model: string | null;
  readonly uptimeSeconds: number | null;
  /** The load averages over 1, 5 and 15 minutes. */
  readonly load: readonly number[] | null;
  readonly memory: Amount | null;
  /** The data partition, which holds the engine and the volumes. */
  readonly data: Amount | null;
  /** The highest of its thermal zones, in degrees Celsius. */
  readonly temperature: number | null;
  /** Which of the two root partitions runs: `A` or `B`. */
  readonly root: string | null;
  /** Whether the OS has just been updated and goes back to the other root partition unless it proves healthy. */
  readonly isOnTrial: boolean;
  /** The cloud that the device belongs to: `https://api.balena-cloud.com`. */
  readonly apiEndpoint: string | null;
  readonly interfaces: readonly DeviceInterface[];
}

/** What is known of a host that lets nobody in. */
export const noHostDetails: HostDetails = {
  hostname: null,
  model: null,
  uptimeSeconds: null,
  load: null,
  memory: null,
  data: null,
  temperature: null,
  root: null,
  isOnTrial: false,
  apiEndpoint: null,
  interfaces: [],
};

/**
 * What is run on a device for the details: prints `name=value` lines. Needs no more than busybox has. Of config.json, which holds keys, only
 * the address of the cloud leaves the device.
 */
export const detailsScript = `
echo "hostname=$(cat /proc/sys/kernel/hostname)"
echo "uptime=$(cut -d ' ' -f 1 /proc/uptime)"
echo "load=$(cut -d ' ' -f 1-3 /proc/loadavg)"
sed -n 's/^\\(MemTotal\\|MemAvailable\\): *\\([0-9]*\\) kB$/\\1=\\2/p' /proc/meminfo
df -P -k /mnt/data 2>/dev/null | awk 'NR == 2 { print "data=" $(NF - 4) " " $(NF - 2) }'
for file in /proc/device-tree/model /sys/class/dmi/id/product_name; do
  [ -r $file ] && echo "model=$(tr -d '\\000' < $file)" && break
done
for zone in /sys/class/thermal/thermal_zone*/temp; do
  [ -r "$zone" ] && echo "temperature=$(cat "$zone")"
done
sed -n 's/.*"apiEndpoint"[[:space:]]*:[[:space:]]*"\\([^"]*\\)".*/api=\\1/p' /mnt/boot/config.json
# A file need not end with a line end, and sed then does not either.
echo
root=$(findmnt -n -o SOURCE /mnt/sysroot/active || findmnt -n -o SOURCE /)
for side in A B; do
  for link in /dev/disk/by-state/resin-root$side /dev/disk/by-label/resin-root$side /dev/disk/by-partlabel/resin-root$side; do
    [ -e $link ] && [ "$(readlink -f $link)" = "$(readlink -f "$root")" ] && echo "root=$side"
  done
done
for file in /mnt/boot/resinOS_uEnv.txt /mnt/boot/bootenv /mnt/boot/grubenv /mnt/boot/EFI/BOOT/grubenv; do
  grep -qs '^upgrade_available=1' $file && echo trial=yes
done
for file in /mnt/state/rollback-health-breadcrumb /mnt/state/rollback-altboot-breadcrumb; do
  [ -e $file ] && echo trial=yes
done
for path in /sys/class/net/*; do
  [ -e "$path/device" ] && echo "interface=\${path##*/} $(cat "$path/address")"
done
ip -o addr show scope global | sed -n 's/^[0-9]*: *\\([^ ]*\\) *inet6\\{0,1\\} \\([^ ]*\\) .*/address=\\1 \\2/p'
nmcli -t -f DEVICE,NAME connection show --active | sed 's/^/connection=/'
`;

/** The details in what the script printed. */
export function parseHostDetails(output: string): HostDetails {
  const lines = factLines(output);
  const get = (name: string) => lines(name)[0] ?? null;
  const pairs = (name: string) => lines(name).map((line) => line.split(' ', 2));
  const [total, available] = [get('MemTotal'), get('MemAvailable')].map(kilobytes);
  const [dataTotal, dataAvailable] = (get('data') ?? '').split(' ').map(kilobytes);
  const temperatures = lines('temperature').map(Number).filter(isTemperature);
  const load = (get('load') ?? '').split(' ').map(Number);
  const root = get('root');
  return {
    hostname: get('hostname'),
    model: get('model'),
    uptimeSeconds: numberIn(get('uptime')),
    load: load.length === 3 && load.every(Number.isFinite) ? load : null,
    memory: amount(total, available),
    data: amount(dataTotal, dataAvailable),
    temperature: temperatures.length === 0 ? null : Math.round(Math.max(...temperatures) / 100) / 10,
    root: root === 'A' || root === 'B' ? root : null,
    isOnTrial: get('trial') === 'yes',
    apiEndpoint: get('api'),
    interfaces: pairs('interface').map(([name = '', mac]) => ({
      name,
      mac: mac !== undefined && /^[0-9a-f:]{17}$/.test(mac) ? mac : null,
      addresses: pairs('address').flatMap(([on, address]) => (on === name && address !== undefined ? address : [])),
      connection:
        lines('connection')
          .find((line) => line.startsWith(`${name}:`))
          ?.slice(name.length + 1) ?? null,
    })),
  };
}

function kilobytes(text: string | null): number | undefined {
  const value = numberIn(text);
  return value === null ? undefined : value * 1024;
}

function numberIn(text: string | null): number | null {
  const value = text === null || text === '' ? NaN : Number(text);
  return Number.isFinite(value) && value >= 0 ? value : null;
}

function amount(total: number | undefined, available: number | undefined): Amount | null {
  return total === undefined || available === undefined ? null : { total, available };
}

/** Thousandths of a degree; sensors that are not connected say something else. */
function isTemperature(value: number): boolean {
  return value > -60_000 && value < 200_000 && value !== 0;
}
