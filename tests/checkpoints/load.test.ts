import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { memorySink } from '../../src/checkpoints/byte-sink.ts';
import { blobSource, bytesSource } from '../../src/checkpoints/byte-source.ts';
import type { ByteSource } from '../../src/checkpoints/byte-source.ts';
import { toFloat32 } from '../../src/checkpoints/dtype.ts';
import { openFileSource } from '../../src/checkpoints/file-source.ts';
import { loadCheckpoint } from '../../src/checkpoints/load.ts';
import { openCheckpoint } from '../../src/checkpoints/open.ts';
import { writeSafetensors } from '../../src/checkpoints/safetensors-writer.ts';
import type { Checkpoint } from '../../src/checkpoints/source.ts';
import { Random } from '../../src/core/random.ts';
import { FOLDER, LOADED, REFUSED, expectedValues, fixtureBytes, fixtureSource } from './fixtures.ts';
import type { ExpectedTensor } from './fixtures.ts';

async function expectTensors(checkpoint: Checkpoint, tensors: Readonly<Record<string, ExpectedTensor>>) {
  expect([...checkpoint.entries.keys()].sort()).toEqual(Object.keys(tensors).sort());
  for (const [key, tensor] of Object.entries(tensors)) {
    const entry = checkpoint.entries.get(key);
    expect({ key, shape: entry?.shape, dtype: entry?.dtype }).toEqual({
      key,
      shape: tensor.shape,
      dtype: tensor.dtype,
    });
    expect(await checkpoint.read(key), key).toEqual(expectedValues(tensor));
    const bytes = await checkpoint.readBytes(key);
    expect(toFloat32(bytes, entry?.dtype ?? 'bool'), key).toEqual(expectedValues(tensor));
  }
}

function fixturePath(name: string): string {
  return fileURLToPath(new URL(name, FOLDER));
}

/** Counts what is read and notices when it is closed. */
function watched<S extends ByteSource>(source: S) {
  const result = {
    ...source,
    bytesRead: 0,
    reads: 0,
    closed: false,
    read(offset: number, length: number) {
      result.bytesRead += length;
      result.reads++;
      return source.read(offset, length);
    },
    close() {
      result.closed = true;
      return source.close();
    },
  };
  return result;
}

const folder = await mkdtemp(path.join(tmpdir(), 'widefield-checkpoints-'));
afterAll(() => rm(folder, { recursive: true }));

describe('reading what PyTorch and safetensors wrote', () => {
  it.each(LOADED)('$name from a file', async ({ name, expected }) => {
    const checkpoint = await openCheckpoint(fixturePath(name));
    await expectTensors(checkpoint, expected.tensors);
    expect(checkpoint.subtree).toBe(expected.subtree);
    expect(checkpoint.subtrees).toEqual(expected.subtrees);
    await checkpoint.close();
  });

  it('reads from memory that is not aligned, and from a Blob', async () => {
    for (const name of ['plain.safetensors', 'zip-strides.pth', 'legacy-strides.pth']) {
      const bytes = fixtureBytes(name);
      const shifted = new Uint8Array(bytes.length + 3).subarray(3);
      shifted.set(bytes);
      const { expected } = LOADED.find((each) => each.name === name) ?? { expected: { tensors: {} } };
      await expectTensors(await loadCheckpoint(bytesSource(shifted)), expected.tensors);
      await expectTensors(await loadCheckpoint(bytesSource(Buffer.from(bytes))), expected.tensors);
      await expectTensors(
        await loadCheckpoint(blobSource(new Blob([new Uint8Array(bytes)]))),
        expected.tensors,
      );
      // What is read belongs to the caller: writing to it must not change the source.
      expect(shifted).toEqual(bytes);
    }
  });

  it.each(LOADED.filter(({ expected }) => 'int64' in expected.tensors))(
    '$name: every bit of integers that float32 rounds',
    async ({ name }) => {
      const checkpoint = await loadCheckpoint(fixtureSource(name));
      const bytes = Buffer.from(await checkpoint.readBytes('int64'));
      const integers = [0, 8, 16, 24].map((offset) => bytes.readBigInt64LE(offset));
      expect(integers).toEqual([-(2n ** 40n), 7n, 2n ** 24n + 1n, -1n]);
      await expect(checkpoint.readBytes('none')).rejects.toThrow(`${name} has no tensor none.`);
    },
  );

  it('gives values that the caller may change', async () => {
    const bytes = fixtureBytes('zip-strides.pth');
    const checkpoint = await loadCheckpoint(bytesSource(bytes));
    const before = await checkpoint.read('whole');
    before.fill(7);
    expect((await checkpoint.read('whole'))[3]).toBe(3);
  });

  it.each(['zip', 'legacy'])('takes another state dict if asked: %s', async (format) => {
    const name = `${format}-training.pth`;
    const checkpoint = await loadCheckpoint(fixtureSource(name), { subtree: 'model_ema' });
    const ema = LOADED.find((each) => each.name === name)?.expected.ema ?? {};
    await expectTensors(checkpoint, ema);
    await expect(loadCheckpoint(fixtureSource(name), { subtree: 'ema' })).rejects.toThrow(
      `${name} has no subtree "ema": choose no subtree or "model" or "model_ema".`,
    );
  });

  it('tells the format by the content alone', async () => {
    const disguised = path.join(folder, 'weights.safetensors');
    await copyFile(fixturePath('zip-dtypes.pth'), disguised);
    const checkpoint = await openCheckpoint(disguised);
    expect(checkpoint.format).toBe('pytorch-zip');
    await checkpoint.close();
  });

  it('reads only the tensor that is asked for, and small neighbours together', async () => {
    const tensors = Array.from({ length: 60 }, (_, i) => ({
      key: `t${i}`,
      shape: [i % 20 === 0 ? 2 ** 16 : 16],
    }));
    const sink = memorySink();
    const lengths = new Map(tensors.map(({ key, shape: [length = 0] }) => [key, length]));
    const valuesOf = (key: string) => new Random(key).array(lengths.get(key) ?? 0);
    await writeSafetensors(tensors, (key) => Promise.resolve(valuesOf(key)), sink);
    const source = watched(blobSource(sink.blob()));
    const checkpoint = await loadCheckpoint(source);
    source.bytesRead = source.reads = 0;
    expect(await checkpoint.read('t20')).toEqual(valuesOf('t20'));
    expect(source).toMatchObject({ bytesRead: 2 ** 18, reads: 1 });
    for (let i = 1; i < 20; i++) expect(await checkpoint.read(`t${i}`)).toEqual(valuesOf(`t${i}`));
    expect(source.reads).toBe(2);
    expect(source.bytesRead).toBeLessThan(2 ** 18 + 2 ** 18);
    await checkpoint.close();
    expect(source.closed).toBe(true);
  });

  it.each([
    ['zip-dtypes.pth'],
    ['legacy-dtypes.pth'],
    ['plain.safetensors'],
    ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'],
  ])('await using closes %s', async (...names) => {
    const sources = names.map((name) => watched(fixtureSource(name)));
    {
      await using checkpoint = await loadCheckpoint(sources, { onWarning: () => undefined });
      expect(checkpoint.entries.size).toBeGreaterThan(0);
    }
    expect(sources.every(({ closed }) => closed)).toBe(true);
  });

  it('await using closes a file, and what is made of a source', async () => {
    const opened = await openFileSource(fixturePath('plain.safetensors'));
    const made = watched(bytesSource(new Uint8Array(1)));
    {
      await using file = opened;
      await using memory = made;
      expect([file.size > 1, memory.size]).toEqual([true, 1]);
    }
    await expect(opened.read(0, 1)).rejects.toMatchObject({ code: 'io' });
    expect(made.closed).toBe(true);
  });

  it('names a key that is not there', async () => {
    for (const name of ['zip-dtypes.pth', 'plain.safetensors', 'model.safetensors.index.json']) {
      const checkpoint = await openCheckpoint(fixturePath(name));
      await expect(checkpoint.read('no.such')).rejects.toThrow('has no tensor no.such.');
      await checkpoint.close();
    }
  });

  it('warns of NaN and infinity', async () => {
    const warnings: string[] = [];
    const checkpoint = await loadCheckpoint(fixtureSource('plain.safetensors'), {
      onWarning: (message) => warnings.push(message),
    });
    await checkpoint.read('int32');
    expect(warnings).toEqual([]);
    await checkpoint.read('float32');
    expect(warnings).toEqual([
      'plain.safetensors: 3 of the 11 values of float32 are NaN or infinite, the first at index 8; results will be too.',
    ]);
  });
});

describe('refusing', () => {
  it.each(REFUSED)('$name asks for $callable', async ({ name, callable }) => {
    const source = watched(fixtureSource(name));
    const loading = loadCheckpoint(source);
    await expect(loading).rejects.toMatchObject({ name: 'WidefieldError', code: 'unsupported' });
    await expect(loading).rejects.toThrow(
      `the ${name.startsWith('evil') ? 'callable' : 'class'} ${callable},`,
    );
    expect(source.closed).toBe(true);
  });

  it.each([
    ['empty.pth', new Uint8Array(0), 'empty.pth is empty'],
    ['page.pth', '<!DOCTYPE html><html></html>', 'it is a web page'],
    ['pointer.pth', 'version https://git-lfs.github.com/spec/v1', 'it is a Git LFS pointer'],
    ['plain.pkl', '\u0080\u0004K\u0001.', 'it is a pickle, but not one of torch.save'],
    ['photo.jpg', '\u00ff\u00d8\u00ff\u00e0 and so on', 'it is neither safetensors nor a PyTorch file'],
    ['list.json', '{"weights": 1}', 'it has no "weight_map"'],
    ['broken.json', '{"weight_map": ', 'it has no "weight_map"'],
    ['empty.zip', `PK\u0005\u0006${'\0'.repeat(18)}`, 'it is an empty or split zip file'],
  ])('%s says what it is', async (name, content, message) => {
    const bytes = typeof content === 'string' ? Uint8Array.from(Buffer.from(content, 'latin1')) : content;
    const loading = loadCheckpoint(bytesSource(bytes, name));
    await expect(loading).rejects.toMatchObject({ name: 'WidefieldError', code: 'invalid-argument' });
    await expect(loading).rejects.toThrow(message);
  });

  it('a file that is not there, or is a folder', async () => {
    await expect(openCheckpoint(path.join(folder, 'none.pth'))).rejects.toMatchObject({
      code: 'io',
      message: `${path.join(folder, 'none.pth')} cannot be read: there is no such file or folder.`,
    });
    await expect(openCheckpoint(folder)).rejects.toMatchObject({ code: 'io' });
  });

  it('a URL that is no file, and a pipe', async () => {
    await expect(openCheckpoint(new URL('https://example.org/x.pth'))).rejects.toMatchObject({
      code: 'invalid-argument',
      message: 'https://example.org/x.pth is no file of this machine: download it, and give its path.',
    });
    if (process.platform === 'win32') return;
    execFileSync('mkfifo', [path.join(folder, 'pipe')]);
    await expect(openCheckpoint(path.join(folder, 'pipe'))).rejects.toThrow('it is not a file');
  });

  it('a subtree of a safetensors file', async () => {
    const source = fixtureSource('plain.safetensors');
    await expect(loadCheckpoint(source, { subtree: 'model_ema' })).rejects.toMatchObject({
      code: 'invalid-argument',
      message:
        'plain.safetensors is a safetensors file, which holds one state dict: leave the subtree "model_ema" out.',
    });
  });

  it('a file without tensors', async () => {
    const bytes = fixtureBytes('zip-training.pth');
    const at = Buffer.from(bytes).indexOf('torch._utils\n_rebuild_tensor_v2');
    bytes.set(Buffer.from('torch.serialization\n_get_layout'), at); // the same length, and harmless
    await expect(loadCheckpoint(bytesSource(bytes, 'x.pth'))).rejects.toThrow('x.pth holds no weights');
  });
});

describe('shards', () => {
  const index = 'model.safetensors.index.json';
  const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
  const expected = LOADED.find((each) => each.name === index)?.expected.tensors ?? {};

  it('are joined from sources, with and without their index', async () => {
    const sources = shards.map(fixtureSource);
    await expectTensors(await loadCheckpoint(sources), expected);
    await expectTensors(await loadCheckpoint([fixtureSource(index), ...sources]), expected);
  });

  it('must be complete and have each key once', async () => {
    const [first, second] = shards.map(fixtureSource);
    if (first === undefined || second === undefined) throw new Error('unreachable');
    await expect(loadCheckpoint([fixtureSource(index), first])).rejects.toThrow(
      `needs the file ${shards[1]} as well`,
    );
    await expect(loadCheckpoint([first, first])).rejects.toThrow('both hold stem.weight');
    await expect(loadCheckpoint(fixtureSource(index))).rejects.toThrow('needs the file');
    await expect(loadCheckpoint([])).rejects.toThrow('at least one');
    const odd = Buffer.from(JSON.stringify({ weight_map: { w: '\u009b31m.safetensors' } }));
    await expect(loadCheckpoint(bytesSource(odd, 'odd.json'))).rejects.toThrow(
      'needs the file \ufffd31m.safetensors as well',
    );
    const swapped = Buffer.from(fixtureBytes(index))
      .toString()
      .replaceAll('00001', '00003')
      .replaceAll('00002-', '00001-');
    const misleading = bytesSource(Buffer.from(swapped.replaceAll('00003', '00002')), 'swapped.json');
    await expect(loadCheckpoint([misleading, first, second])).rejects.toThrow('but it is not');
  });

  it.each(['../secret', '/etc/passwd', 'a/b', 'a\\b', '..', 'C:x', 'a\0b', ''])(
    'cannot lie outside of the folder: %j',
    async (file) => {
      const target = path.join(folder, 'evil.index.json');
      await writeFile(target, JSON.stringify({ weight_map: { w: file } }));
      await expect(openCheckpoint(target)).rejects.toThrow('which is not a plain file name');
    },
  );

  it('that are missing are named', async () => {
    const target = path.join(folder, 'alone.index.json');
    await copyFile(fixturePath(index), target);
    await expect(openCheckpoint(target)).rejects.toMatchObject({
      code: 'io',
      message: /model-00001-of-00002/,
    });
  });
});
