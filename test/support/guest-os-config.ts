import type { VirtualDevice } from './virtual-device.js';

/**
 * Stands in for os-config where there is nothing but jq and a shell: what `generate-api-key`, `update` and `leave` do to config.json, to a file
 * of the VPN and to the Supervisor, which is a unit that does nothing.
 */
const osConfig = `#!/bin/sh
set -e
config=/mnt/boot/config.json vpn=/etc/openvpn/openvpn.conf
edit() { jq "$@" < $config > $config.os && mv $config.os $config; }
case $1 in
  generate-api-key) edit '.deviceApiKey = "0123456789abcdef0123456789abcdef"'; echo 'New \`deviceApiKey\` generated' ;;
  update)
    echo Fetching service configuration
    sleep 2
    [ ! -e /run/fails ] || { echo 'Error: Fetching configuration failed'; exit 1; }
    mkdir -p /etc/openvpn && echo remote > $vpn && echo "$vpn updated"
    systemctl restart balena-supervisor ;;
  leave)
    systemctl stop balena-supervisor
    edit 'del(.apiEndpoint, .applicationId, .deviceApiKey, .deviceType, .deviceId, .registered_at)'
    rm $vpn && echo "$vpn deleted"
    systemctl start balena-supervisor ;;
esac
`;

/** Registers the device as the Supervisor does. */
const supervisor = `[Unit]
Description=Stands in for the Supervisor
[Service]
ExecStart=/bin/sh -c 'if grep -q apiEndpoint /mnt/boot/config.json; then jq "del(.apiKey) + {deviceId: 4711, registered_at: 1767225600}" < /mnt/boot/config.json > /mnt/boot/config.json.sv && mv /mnt/boot/config.json.sv /mnt/boot/config.json; fi; exec sleep infinity'
`;

const install = `
cat > /usr/bin/os-config && chmod 755 /usr/bin/os-config && mkdir -p /run/systemd/system &&
printf %s "$UNIT" > /run/systemd/system/balena-supervisor.service &&
systemctl daemon-reload && systemctl start balena-supervisor`;

/** Gives a virtual device, which has neither, stand-ins for os-config and the Supervisor; while /run/fails is there, os-config fails. */
export async function installOsConfig(device: VirtualDevice): Promise<void> {
  const unit = Buffer.from(supervisor).toString('base64');
  const installed = await device.ssh(`UNIT=$(echo ${unit} | base64 -d); ${install}`, [], osConfig);
  if (installed.exitCode !== 0) throw new Error(`installing the stand-ins failed: ${installed.stderr}`);
}
