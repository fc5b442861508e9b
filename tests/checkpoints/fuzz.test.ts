import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { bytesSource } from '../../src/checkpoints/byte-source.ts';
import { loadCheckpoint } from '../../src/checkpoints/load.ts';
import { parseHeader } from '../../src/checkpoints/safetensors-header.ts';
import { parseIndex } from '../../src/checkpoints/sharded.ts';
import { LEGACY_MAGIC } from '../../src/checkpoints/torch-legacy.ts';
import { TorchWorld } from '../../src/checkpoints/torch-pickle.ts';
import { unpickle } from '../../src/checkpoints/unpickler.ts';
import { WidefieldError } from '../../src/core/errors.ts';
import { fixtureBytes, fixtureNames } from './fixtures.ts';

/** More runs: WIDEFIELD_FUZZ_RUNS=100000 npx vitest run tests/checkpoints/fuzz.test.ts */
const RUNS = Number(process.env.WIDEFIELD_FUZZ_RUNS ?? 150);

/** Loads and reads everything: must succeed or throw a WidefieldError of one line. */
async function loadsOrRefuses(bytes: Uint8Array): Promise<void> {
  await settles(async () => {
    const checkpoint = await loadCheckpoint(bytesSource(bytes));
    for (const [key, { shape }] of checkpoint.entries) {
      const values = await checkpoint.read(key);
      expect(values.length).toBe(shape.reduce((a, b) => a * b, 1));
    }
  });
}

async function settles(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof WidefieldError)) throw error;
    expect(error.message).toMatch(/^[^\n]{1,1000}\.$/);
  }
}

/** A change of a file: bytes overwritten, taken out, put in twice, or cut off. Places are fractions of its length. */
const place = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }),
  // Headers are at the beginning, directories at the end.
  fc.double({ min: 0, max: 0.1, noNaN: true }),
  fc.double({ min: 0.9, max: 1, noNaN: true }),
);
const interesting = fc.oneof(fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff, 0x2e, 0x28, 0x63), fc.nat(255));
const change = fc.oneof(
  fc.record({
    kind: fc.constant('set' as const),
    at: place,
    bytes: fc.array(interesting, { minLength: 1, maxLength: 8 }),
  }),
  fc.record({ kind: fc.constant('remove' as const), at: place, count: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ kind: fc.constant('repeat' as const), at: place, count: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: place }),
);

type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function apply(bytes: Uint8Array, edit: Change): Uint8Array {
  const at = Math.floor(edit.at * bytes.length);
  switch (edit.kind) {
    case 'set': {
      const out = new Uint8Array(bytes);
      out.set(edit.bytes.slice(0, bytes.length - at), at);
      return out;
    }
    case 'remove':
      return Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + edit.count)]);
    case 'repeat':
      return Uint8Array.from([...bytes.subarray(0, at + edit.count), ...bytes.subarray(at)]);
    case 'cut':
      return bytes.slice(0, at);
  }
}

describe('damaged files load or are refused', () => {
  it.each(fixtureNames())('%s', async (name) => {
    const bytes = fixtureBytes(name);
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) =>
        loadsOrRefuses(changes.reduce(apply, bytes)),
      ),
      { numRuns: RUNS },
    );
  });

  it.each(['zip-protocol4.pth', 'legacy-dtypes.pth', 'plain.safetensors'])(
    '%s, cut anywhere',
    async (name) => {
      const bytes = fixtureBytes(name);
      for (let length = 0; length < bytes.length; length += 1 + Math.floor(bytes.length / 300)) {
        await expect(loadCheckpoint(bytesSource(bytes.slice(0, length)))).rejects.toBeInstanceOf(
          WidefieldError,
        );
      }
    },
  );
});

describe('bytes of no meaning are refused', () => {
  const anything = fc.uint8Array({ maxLength: 200 });
  const opcode = fc.constantFrom(
    ...Buffer.from('(.012FIJKLMNPQRSTUVXabcdeghijlopqrstu}])GBC'),
    ...range(0x80, 0x98),
  );
  const opcodes = fc.array(
    fc.oneof({ weight: 3, arbitrary: opcode }, fc.nat(255), fc.constantFrom(10, 0, 1, 2)),
    {
      maxLength: 60,
    },
  );

  it('anywhere', () => fc.assert(fc.asyncProperty(anything, loadsOrRefuses), { numRuns: RUNS }));

  it('in pickles', async () => {
    await fc.assert(
      fc.asyncProperty(opcodes, (codes) =>
        settles(() => unpickle(Uint8Array.from(codes), 0, new TorchWorld('Pickle'))),
      ),
      { numRuns: RUNS * 20 },
    );
  });

  it('in legacy files', async () => {
    await fc.assert(
      fc.asyncProperty(opcodes, (codes) =>
        loadsOrRefuses(Uint8Array.from([...LEGACY_MAGIC, 0x80, 2, 0x4d, 0xe9, 3, 0x2e, ...codes])),
      ),
      { numRuns: RUNS * 5 },
    );
  });

  it('in headers', async () => {
    const entry = fc.record(
      {
        dtype: fc.oneof(fc.constantFrom('F32', 'BF16', 'I64', 'F8_E4M3'), fc.jsonValue()),
        shape: fc.oneof(fc.array(fc.oneof(fc.nat(5), fc.double())), fc.jsonValue()),
        data_offsets: fc.oneof(fc.tuple(fc.nat(99), fc.nat(99)), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const header = fc.oneof(
      fc.dictionary(fc.string(), entry).map((value) => JSON.stringify(value)),
      fc.json(),
      fc.string(),
    );
    await fc.assert(
      fc.asyncProperty(header, fc.nat(200), async (text, size) => {
        await settles(() => parseHeader(text, size, 'Header'));
        await settles(() => parseIndex(text, 'Index'));
        const json = Buffer.from(text);
        const length = Buffer.alloc(8);
        length.writeBigUInt64LE(BigInt(json.length));
        await loadsOrRefuses(Uint8Array.from([...length, ...json, ...new Uint8Array(size)]));
      }),
      { numRuns: RUNS * 3 },
    );
  });
});

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
