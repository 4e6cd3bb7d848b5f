/** The whole UUID of a device: 32 hexadecimal digits, on devices of old 62. */
export const uuidPattern = /^([0-9a-f]{32}|[0-9a-f]{62})$/;

/** Whether a text is the whole UUID of a device. */
export function isUuid(text: string): boolean {
  return uuidPattern.test(text);
}
