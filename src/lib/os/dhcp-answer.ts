/** The network of virtual devices in bridge mode. */
export const bridgeAddress = '10.78.0.1';
export const bridgePrefix = 16;
export const bridgeBroadcast = '10.78.255.255';

/** First bytes of the hardware address of every virtual device: the locally administered ones QEMU uses, then davit's. */
const vendor = [0x52, 0x54, 0x00, 0xda] as const;

const leaseSeconds = 12 * 60 * 60;
const magicCookie = 0x63825363;

/** A hardware address as `52:54:00:da:12:34`, from two bytes between 1 and 254. */
export function virtualHardwareAddress(high: number, low: number): string {
  return [...vendor, high, low].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The IP address that a virtual device always has: it follows from its hardware address, so nobody keeps a list. */
export function addressFor(hardwareAddress: string): string {
  const [high = '', low = ''] = hardwareAddress.split(':').slice(4);
  return `10.78.${Number.parseInt(high, 16)}.${Number.parseInt(low, 16)}`;
}

/**
 * The answer to a DHCP message (RFC 2131) of a virtual device: an offer to a discovery, an acknowledgement to a request.
 * Undefined for all other messages and for every computer that is not one of davit's, so that a real network is never
 * disturbed.
 */
export function dhcpAnswer(message: Buffer): Buffer | undefined {
  if (message.length < 240 || message[0] !== 1 || message.readUInt32BE(236) !== magicCookie) return undefined;
  if (vendor.some((byte, index) => message[28 + index] !== byte)) return undefined;
  const asked = dhcpOption(message, 53)?.[0];
  const answer = asked === 1 ? 2 : asked === 3 ? 5 : undefined;
  if (answer === undefined) return undefined;

  const server = bytesOf(bridgeAddress);
  const lease = Buffer.alloc(4);
  lease.writeUInt32BE(leaseSeconds);
  const header = Buffer.alloc(240);
  message.copy(header, 0, 0, 44);
  header[0] = 2;
  header[3] = 0;
  Buffer.from([10, 78, message[32] ?? 0, message[33] ?? 0]).copy(header, 16);
  server.copy(header, 20);
  header.writeUInt32BE(magicCookie, 236);
  const options = [
    [53, Buffer.from([answer])],
    [54, server],
    [51, lease],
    [1, Buffer.from([255, 255, 0, 0])],
    [28, bytesOf(bridgeBroadcast)],
    [3, server],
  ] as const;
  return Buffer.concat([
    header,
    ...options.map(([code, value]) => Buffer.concat([Buffer.from([code, value.length]), value])),
    Buffer.from([255]),
  ]);
}

function dhcpOption(message: Buffer, wanted: number): Buffer | undefined {
  let at = 240;
  while (at + 1 < message.length) {
    const code = message[at];
    if (code === 255) return undefined;
    // A padding byte has no length.
    if (code === 0) {
      at += 1;
      continue;
    }
    const length = message[at + 1] ?? 0;
    if (code === wanted) return message.subarray(at + 2, at + 2 + length);
    at += 2 + length;
  }
  return undefined;
}

function bytesOf(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}
