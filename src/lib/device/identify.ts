import { Failure } from '../failure/failure.js';
import { blink } from '../supervisor/actions.js';
import { bySupervisor } from './by-supervisor.js';
import type { Device } from './device.js';
import { runOnHost } from './run-on-host.js';

/** How long the Supervisor blinks, and so does davit. */
export const blinkSeconds = 15;

const noLight = 69;

/** The Supervisor's configuration names the file that a light is switched by; on boards without one it is /dev/null. */
const script = `
conf=/etc/balena-supervisor/supervisor.conf
[ ! -r $conf ] || . $conf
[ -w "\${LED_FILE:=/dev/null}" ] && [ -f "$LED_FILE" ] || exit ${noLight}
trap 'echo 0 > "$LED_FILE"' EXIT
trap exit HUP INT TERM PIPE
n=0
while [ $n -lt ${blinkSeconds} ]; do
  for _ in 1 2; do echo 1 > "$LED_FILE"; sleep 0.25; echo 0 > "$LED_FILE"; sleep 0.25; done
  n=$((n + 1))
done
`;

/** Blinks the light of a device, through its Supervisor or by SSH. Fails as refused on a device that has none. */
export async function identifyDevice(device: Device, signal: AbortSignal): Promise<void> {
  await bySupervisor(
    device,
    (supervisor) => blink(supervisor, signal),
    async () => {
      await runOnHost(device, {
        doing: `blinking the light of ${device.name}`,
        script,
        failures: {
          [noLight]: () =>
            new Failure('refused', 'no-light', `${device.name} has no light that the OS could blink`, {
              hint: `Look for its address (${device.address}) or the MAC addresses that davit device info shows`,
            }),
        },
      });
    },
  );
}
