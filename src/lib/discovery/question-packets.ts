import type { MulticastQuestion } from './multicast.js';

/** What fits into an Ethernet frame with room for headers (RFC 6762 17). */
const largestPacket = 1400;

/** Splits questions into lists that each fit into one packet. */
export function questionPackets(questions: readonly MulticastQuestion[]): MulticastQuestion[][] {
  const packets: MulticastQuestion[][] = [];
  let room = 0;
  for (const question of questions) {
    // The name with a length byte for each label and a zero byte, type and class.
    const size = Buffer.byteLength(question.name) + 6;
    if (size > room) {
      packets.push([]);
      room = largestPacket;
    }
    packets.at(-1)?.push(question);
    room -= size;
  }
  return packets;
}
