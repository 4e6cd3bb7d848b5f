/** Names that device types had before or have beside their own (contracts of balena-io, hw.device-type). */
const aliases: Readonly<Record<string, string>> = {
  artik520: 'artik5',
  beaglebone: 'beaglebone-black',
  'cubox-i': 'hummingboard',
  edison: 'intel-edison',
  hummingboard2: 'hummingboard',
  nuc: 'intel-nuc',
  'odroid-u3+': 'odroid-xu4',
  'odroid-ux3': 'odroid-xu4',
  'parallella-hdmi-resin': 'parallella',
  raspberrypi: 'raspberry-pi',
  raspberrypi2: 'raspberry-pi2',
  'solidrun-imx6': 'hummingboard',
  'vab820-quad': 'via-vab820-quad',
};

/** Whether two slugs name the same device type. */
export function isSameDeviceType(one: string, other: string): boolean {
  return (aliases[one] ?? one) === (aliases[other] ?? other);
}
