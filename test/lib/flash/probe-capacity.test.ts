import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Failure } from '../../../src/lib/failure/failure.js';
import { rounds } from '../../support/campaign.js';
import { seededRandom } from '../../support/seeded-random.js';
import { placesToProbe, probeCapacity, type ProbedMedium } from '../../../src/lib/flash/probe-capacity.js';

const mebibyte = 1024 * 1024;
const gibibyte = 1024 * mebibyte;
const sectorSize = 512;
const signal = new AbortController().signal;

/** A drive in memory that keeps each sector where `place` says, or nowhere. */
function drive(
  place: (sector: number) => number | undefined,
): ProbedMedium & { readonly sectors: Map<number, Buffer> } {
  const sectors = new Map<number, Buffer>();
  const each = (bytes: Buffer, offset: number, work: (sector: number | undefined, piece: Buffer) => void) => {
    for (let at = 0; at < bytes.length; at += sectorSize) {
      work(place((offset + at) / sectorSize), bytes.subarray(at, at + sectorSize));
    }
    return Promise.resolve();
  };
  return {
    sectors,
    write: (bytes, offset) =>
      each(bytes, offset, (sector, piece) => {
        if (sector !== undefined) sectors.set(sector, Buffer.from(piece));
      }),
    read: (into, offset) =>
      each(into, offset, (sector, piece) => {
        const kept = sector === undefined ? undefined : sectors.get(sector);
        if (kept === undefined) piece.fill(0);
        else kept.copy(piece);
      }),
    flush: () => Promise.resolve(),
  };
}

const rangeOf = (size: number) => ({ start: mebibyte, size: size - 2 * mebibyte });
const sectorsIn = (size: number) => size / sectorSize;

for (const size of [16 * mebibyte, 100 * mebibyte, 8 * gibibyte, 32 * gibibyte, 1024 * gibibyte]) {
  test(`finds nothing wrong with an honest drive of ${size} bytes, writing a few MB within the range`, async () => {
    const honest = drive((sector) => sector);
    const range = rangeOf(size);
    const verdict = await probeCapacity(honest, range, { signal });
    assert.deepEqual(verdict, { kind: 'true', realEnd: size - mebibyte });
    const offsets = [...honest.sectors.keys()].map((sector) => sector * sectorSize);
    assert.ok(Math.min(...offsets) >= range.start);
    assert.equal(Math.max(...offsets), range.start + range.size - sectorSize);
    assert.ok(honest.sectors.size * sectorSize <= 9 * mebibyte);
  });
}

for (const [claimed, real] of [
  [32 * gibibyte, 8 * gibibyte],
  [32 * gibibyte, 7.25 * gibibyte],
  [64 * gibibyte, 7.5 * gibibyte - 4 * mebibyte],
  [1024 * gibibyte, 29.75 * gibibyte + 12 * mebibyte],
  [128 * mebibyte, 100 * mebibyte],
] as const) {
  test(`finds that a drive of ${real} bytes that claims ${claimed} wraps around`, async () => {
    const verdict = await probeCapacity(
      drive((sector) => sector % sectorsIn(real)),
      rangeOf(claimed),
      { signal },
    );
    assert.equal(verdict.kind, 'wraps');
    assert.equal(verdict.realEnd, real);
  });

  test(`finds that a drive of ${real} bytes that claims ${claimed} loses what is beyond`, async () => {
    const lost = drive((sector) => (sector < sectorsIn(real) ? sector : undefined));
    const verdict = await probeCapacity(lost, rangeOf(claimed), { signal });
    assert.equal(verdict.kind, 'ends');
    assert.equal(verdict.realEnd, real);
  });

  test(`finds that a drive of ${real} bytes that claims ${claimed} puts all that is beyond in one place`, async () => {
    const last = sectorsIn(real) - 1;
    const folds = drive((sector) => (sector < last ? sector : last));
    const verdict = await probeCapacity(folds, rangeOf(claimed), { signal });
    assert.equal(verdict.kind, 'ends');
    assert.ok(Math.abs(verdict.realEnd - real) <= 64 * 1024, String(verdict.realEnd));
  });
}

test('takes errors beyond the end for the end, and an error everywhere for a broken drive', async () => {
  const failsFrom = (end: number): ProbedMedium => {
    const works = drive((sector) => sector);
    const orFail = (offset: number, work: () => Promise<void>) =>
      offset < end ? work() : Promise.reject(new Failure('failed', 'drive-failed', 'input/output error'));
    return {
      ...works,
      write: (bytes, offset) => orFail(offset, () => works.write(bytes, offset)),
      read: (into, offset) => orFail(offset, () => works.read(into, offset)),
    };
  };
  const verdict = await probeCapacity(failsFrom(3 * gibibyte), rangeOf(16 * gibibyte), { signal });
  assert.deepEqual([verdict.kind, verdict.realEnd], ['ends', 3 * gibibyte]);
  await assert.rejects(probeCapacity(failsFrom(0), rangeOf(16 * gibibyte), { signal }), { code: 'drive-failed' });
});

test('tells damage amid what is kept from a false capacity', async () => {
  const range = rangeOf(16 * gibibyte);
  const hurt = placesToProbe(range)[40]?.start ?? 0;
  const damaged = drive((sector) => (sector === hurt / sectorSize ? undefined : sector));
  const verdict = await probeCapacity(damaged, range, { signal });
  assert.deepEqual([verdict.kind, verdict.realEnd], ['damaged', hurt]);
});

test('leaves no sector that could be taken for a partition table', async () => {
  const honest = drive((sector) => sector);
  await probeCapacity(honest, rangeOf(4 * gibibyte), { signal });
  for (const bytes of honest.sectors.values()) {
    assert.equal(bytes.readUInt16LE(510), 0);
    assert.notEqual(bytes.toString('latin1', 0, 8), 'EFI PART');
  }
});

test('finds any wrap-around by a multiple of 4 MiB', async () => {
  const random = seededRandom(20260303);
  const grain = 4 * mebibyte;
  for (let round = 0; round < rounds(20, 1000); round += 1) {
    const claimed = (8 + random.below(16_000)) * grain - random.below(grain / 4096) * 4096;
    const real = (2 + random.below(Math.floor(claimed / grain) - 3)) * grain;
    const verdict = await probeCapacity(
      drive((sector) => sector % sectorsIn(real)),
      rangeOf(claimed),
      { signal },
    );
    assert.deepEqual([verdict.kind, verdict.realEnd], ['wraps', real], `${real} of ${claimed}`);
  }
});
