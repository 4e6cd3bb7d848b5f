/**
 * Bytes that the first frame of a Zstandard file holds, where its header (RFC 8878, 3.1.1.1) says. More frames may follow, so an
 * image has at least this size.
 */
export function zstdContentSize(head: Buffer): number | undefined {
  const descriptor = head[4];
  if (descriptor === undefined) return undefined;
  const singleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const at = 5 + (singleSegment ? 0 : 1) + dictionaryBytes;
  const sizeBytes = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  if (sizeBytes === 0 || head.length < at + sizeBytes) return undefined;
  if (sizeBytes === 1) return head.readUInt8(at);
  // Two bytes count from 256, because one byte holds less.
  if (sizeBytes === 2) return head.readUInt16LE(at) + 256;
  return sizeBytes === 4 ? head.readUInt32LE(at) : Number(head.readBigUInt64LE(at));
}
