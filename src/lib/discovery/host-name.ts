/**
 * Whether a text can be a host name, here or in a message from the network: labels of letters, digits, `-` and `_` that fit
 * into DNS (RFC 1035 2.3.4). Nothing else is asked for, believed or printed.
 */
export function isHostName(text: string): boolean {
  const labels = text.replace(/\.$/, '').split('.');
  return text.length < 254 && labels.every((label) => isLabel(label) && Buffer.byteLength(label) < 64);
}

function isLabel(text: string): boolean {
  return /^[\p{L}\p{N}_]([\p{L}\p{M}\p{N}_-]*[\p{L}\p{M}\p{N}_])?$/u.test(text);
}
