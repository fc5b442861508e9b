import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { PickleDict, PickleGlobal, PickleList } from '../../src/checkpoints/pickle-value.ts';
import type { PickleValue } from '../../src/checkpoints/pickle-value.ts';
import { findStateDict } from '../../src/checkpoints/state-dict.ts';
import { StoredTensor } from '../../src/checkpoints/stored-tensor.ts';
import { TorchWorld } from '../../src/checkpoints/torch-pickle.ts';
import { unpickle } from '../../src/checkpoints/unpickler.ts';
import { FOLDER } from './fixtures.ts';

type Part = string | readonly number[];

/** Bytes from parts; text is a byte a character. */
function bytes(...parts: readonly Part[]): Uint8Array {
  const buffers = parts.map((part) =>
    typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part),
  );
  return new Uint8Array(Buffer.concat(buffers));
}

function read(...parts: readonly Part[]): PickleValue {
  return unpickle(bytes(...parts), 0, new TorchWorld('Test')).value;
}

/** As plain JavaScript, for comparisons. */
function plain(value: PickleValue): unknown {
  if (value instanceof PickleList) return { [value.kind]: value.items.map(plain) };
  if (value instanceof PickleDict) return new Map([...value.entries].map(([k, v]) => [plain(k), plain(v)]));
  return value;
}

describe('unpickle reads', () => {
  const pickles = JSON.parse(readFileSync(new URL('pickles.json', FOLDER), 'utf8')) as string[];
  const list = (...items: unknown[]) => ({ list: items });
  const tuple = (...items: unknown[]) => ({ tuple: items });
  const set = expect.objectContaining({}) as unknown;
  const head = [null, true, false, 0, 255, 65535, -1, 2 ** 31, -(2n ** 70n), 1.5, 'é', Uint8Array.of(0, 255)];
  const tail = [
    tuple(),
    tuple(1),
    tuple(1, 2),
    tuple(1, 2, 3),
    tuple(1, 2, 3, 4),
    new Map([['a', list(new Map())]]),
    set,
    set,
    new Map([['k', -Infinity]]),
    list(...Array.from({ length: 2000 }, (_, i) => i)),
    set,
    'x'.repeat(300),
  ];

  it.each([0, 1, 2, 3, 4, 5])('what Python wrote in protocol %i', (protocol) => {
    const { value, end } = unpickle(Buffer.from(pickles[protocol] ?? '', 'hex'), 0, new TorchWorld('Test'));
    expect(end).toBe((pickles[protocol] ?? '').length / 2);
    // Before protocol 3, Python says bytes by a call of codecs.encode, which is not made.
    const items = [...head.slice(0, protocol < 3 ? -1 : undefined), ...(protocol < 3 ? [set] : []), ...tail];
    expect(plain(value)).toEqual(list(...items));
    const sets = value instanceof PickleList ? [value.items[18], value.items[19]] : [];
    expect(sets.map((each) => (each instanceof PickleList ? each.items : each))).toEqual([[1], [2]]);
  });

  it('shared values as shared, and values that contain themselves', () => {
    const value = read(']q\0h\0ah\0a.');
    expect(value).toBeInstanceOf(PickleList);
    if (value instanceof PickleList) expect(value.items).toEqual([value, value]);
  });

  it('one pickle of several', () => {
    const data = bytes('K\x01.K\x02.');
    const first = unpickle(data, 0, new TorchWorld('Test'));
    expect(first).toEqual({ value: 1, end: 3 });
    expect(unpickle(data, first.end, new TorchWorld('Test')).value).toBe(2);
  });

  it('names without looking them up', () => {
    expect(read('ccollections\nOrderedDict\n.')).toEqual(new PickleGlobal('collections.OrderedDict'));
  });
});

describe('unpickle refuses', () => {
  it('a list of which dicts are made again and again', () => {
    const list = `]q\u0001]q\u0002(${'h\u0001'.repeat(4096)}e`;
    const dicts = 'h\u0004h\u0003R0'.repeat(1100);
    const parts = [list, '\u0085q\u00030', 'ccollections\nOrderedDict\nq\u00040', dicts, '.'] as const;
    expect(() => read(...parts)).toThrow('makes dicts of more than 4194304 pairs');
  });

  const call = (module: string, name: string) => `c${module}\n${name}\n`;

  it.each([
    'os.system',
    'builtins.eval',
    'builtins.exec',
    'builtins.getattr',
    'builtins.__import__',
    'builtins.open',
    '__builtin__.eval',
    'subprocess.Popen',
    'torch.load',
    'torch.hub.load',
    'torch.storage._load_from_bytes',
    'numpy.load',
    'functools.partial',
    'operator.attrgetter',
    'runpy.run_path',
    'collections.OrderedDict.update',
    '__proto__.x',
    'constructor.constructor',
  ])('%s, called or not', (callable) => {
    const split = callable.lastIndexOf('.');
    const named = call(callable.slice(0, split), callable.slice(split + 1));
    for (const parts of [
      [named, '.'],
      [named, ')R.'],
      ['(', named, 'o.'],
    ]) {
      expect(() => read(...parts)).toThrow(`asks for the callable ${callable},`);
    }
  });

  it('control characters in the names that it shows', () => {
    expect(() => read([0x8c, 2], 'os', [0x8c, 9], '\x1b[31mrm\r\n', [0x93], '.')).toThrow(
      'os.\ufffd[31mrm\ufffd\ufffd,',
    );
  });

  it.each([
    ['an unknown opcode', ['\xff'], 'unknown opcode 0xff'],
    ['an unknown protocol', [[0x80, 6], 'N.'], 'unknown protocol 6'],
    ['extensions', [[0x82, 1], '.'], 'unknown opcode 0x82'],
    ['buffers outside of the pickle', [[0x97], '.'], 'unknown opcode 0x97'],
    ['an empty stack', ['.'], 'takes from an empty stack'],
    ['a value below a mark', ['N(a.'], 'takes from an empty stack'],
    ['an end without a beginning', ['Nt.'], 'ends a collection that it did not begin'],
    ['a memo that was not made', ['h\x07.'], 'refers to a value that it did not store'],
    ['a key without a value', ['(Nd.'], 'has a key without a value'],
    ['an append to a number', ['K\x01Na.'], 'appends to something that is no list'],
    ['items of a number', ['K\x01NNs.'], 'sets items of something that is no dict'],
    ['a call of a number', ['K\x01)R.'], 'calls something that is not a name'],
    ['arguments that are a number', [call('torch', 'Size'), 'K\x01R.'], 'arguments that are not a tuple'],
    ['a negative length', ['T\xff\xff\xff\xff.'], 'has a negative length'],
    ['an ill-formed integer', ['Iabc\n.'], 'has an ill-formed integer'],
    ['an ill-formed float', ['Fabc\n.'], 'has an ill-formed float'],
    ['a string without quotes', ['Sabc\n.'], 'has a string without quotes'],
    ['a huge integer', [[0x8b], '\xff\xff\0\0'], 'has an integer of 65535 bytes'],
    ['a persistent id of no storage', ['NQ.'], 'refers to something that is no storage'],
    [
      'a tensor without storage',
      [call('torch._utils', '_rebuild_tensor_v2'), '(K\x01K\x02tR.'],
      'ill-formed tensor',
    ],
    ['bytes that are not there', ['X\xff\xff\xff\x7fabc.'], 'ends within a pickle'],
    ['more bytes than there can be', [[0x8e], '\xff\xff\xff\xff\xff\xff\xff\xff'], 'ends within a pickle'],
    ['the lack of an end', ['N'], 'ends within a pickle'],
    ['an endless line', ['I', '1'.repeat(70_000)], 'has a line of more than'],
  ] as const)('%s', (_, parts, message) => {
    expect(() => read(...parts)).toThrow(message);
    try {
      read(...parts);
    } catch (error) {
      expect(error).toMatchObject({ name: 'WidefieldError', code: 'invalid-argument' });
    }
  });

  it('to nest, stack or work without bounds', () => {
    expect(() => read('('.repeat(5000), '.')).toThrow('nests too deeply');
    expect(() => read('N'.repeat(2 ** 20 + 1), '.')).toThrow('puts too much on its stack');
    expect(() => read('N0'.repeat(2 ** 21), 'N.')).toThrow('more than 4194304 steps');
  });

  it('to walk forever over shared and endless dicts', () => {
    // d0 = {}; d1 = {a: d0, b: d0}; d2 = {a: d1, b: d1} …: 2^1000 paths.
    const level = (n: number) => `}(X\x01\0\0\0aj${int(n)}X\x01\0\0\0bj${int(n)}ur${int(n + 1)}`;
    const int = (n: number) => String.fromCharCode(n & 255, n >> 8, 0, 0);
    const bomb = read(`}r${int(0)}`, ...Array.from({ length: 1000 }, (_, n) => level(n)), '.');
    expect(() => findStateDict(bomb, 'bomb.pth')).toThrow('bomb.pth holds no weights');
    expect(() => findStateDict(read('}q\0X\x01\0\0\0ah\0s.'), 'loop.pth')).toThrow(
      'loop.pth holds no weights',
    );
  });
});

describe('tensors must fit their storages', () => {
  /** A tensor of a storage of 6 numbers. */
  const tensor = (offset: number, shape: string, strides: string) =>
    read(
      'ctorch._utils\n_rebuild_tensor_v2\n',
      "((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI6\ntQ",
      `I${offset}\n(${shape}t(${strides}tI00\nNtR.`,
    );
  const ints = (...values: (number | bigint)[]) => values.map((value) => `I${value}\n`).join('');

  it('and do', () => {
    for (const [offset, shape, strides] of [
      [0, [2, 3], [3, 1]],
      [3, [3], [1]],
      [5, [1000, 1000], [0, 0]],
      [1, [3, 2], [1, 2]],
      [6, [0, 5], [5, 1]],
      [0, [], []],
    ] as const) {
      const value = tensor(offset, ints(...shape), ints(...strides));
      expect(value).toBeInstanceOf(StoredTensor);
      expect(value).toMatchObject({ shape, strides, offset, dtype: 'float32' });
    }
  });

  it.each([
    ['beyond the end', 4, [3], [1]],
    ['a stride beyond the end', 0, [2], [6]],
    ['a negative extent', 0, [-1], [1]],
    ['a negative stride', 5, [2], [-1]],
    ['shape and strides of different lengths', 0, [2], [1, 1]],
    ['an absurd size by repetition', 0, [2 ** 30, 2 ** 30], [0, 0]],
    ['a large size by repetition', 0, [2 ** 25], [0]],
    ['extents beyond integers', 0, [2n ** 80n], [1]],
    ['a product beyond integers', 0, [2 ** 40, 2 ** 40, 0, 3], [-1, 1, 1, 1]],
    ['too many axes', 0, new Array<number>(40).fill(1), new Array<number>(40).fill(1)],
  ] as const)('%s is refused', (_, offset, shape, strides) => {
    expect(() => tensor(offset, ints(...shape), ints(...strides))).toThrow(
      'does not fit its storage of 6 numbers',
    );
  });

  it('and count from the views of storages that old files have', () => {
    const view = "(S'v'\nI2\nI3\nt";
    const storage = `(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI6\n${view}tQ`;
    const tensorAt = (offset: number) =>
      read('ctorch._utils\n_rebuild_tensor\n', `(${storage}I${offset}\n(I3\nt(I1\nttR.`);
    expect(tensorAt(1)).toMatchObject({ offset: 3, shape: [3] });
    expect(() => tensorAt(2)).toThrow('does not fit its storage of 6 numbers');
  });

  it('of very many axes, only their number is told', () => {
    const ones = 'I1\n'.repeat(2 ** 18);
    expect(() => tensor(0, ones, ones)).toThrow('a tensor of 262144 dimensions does not fit');
  });

  it('a negative offset is refused', () => {
    expect(() => tensor(-1, ints(1), ints(1))).toThrow('ill-formed tensor');
  });
});

describe('findStateDict', () => {
  const tensorOf =
    "ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI6\ntQI0\n(I1\nt(I1\nttR";
  const dict = (items: Record<string, string>) =>
    `(${Object.entries(items)
      .map(([key, value]) => `S'${key}'\n${value}`)
      .join('')}d`;
  const weights = dict({ a: tensorOf, b: tensorOf, c: tensorOf });

  it.each([
    ['the file itself', dict({ a: tensorOf, b: tensorOf, extra: dict({ x: tensorOf }) }), ''],
    ['model before its average', dict({ model_ema: weights, model: weights }), 'model'],
    ['state_dict before others', dict({ other: weights, state_dict: weights }), 'state_dict'],
    ['what is there', dict({ weights }), 'weights'],
    ['not a lone number beside the weights', dict({ best: tensorOf, net: weights }), 'net'],
    [
      'not a small dict because of its name',
      dict({ model: dict({ a: tensorOf }), network: weights }),
      'network',
    ],
    ['a nested one', dict({ checkpoint: dict({ model: weights }) }), 'checkpoint.model'],
  ])('chooses %s', (_, pickle, subtree) => {
    expect(findStateDict(read(pickle, '.'), 'x.pth').subtree).toBe(subtree);
  });

  it('takes wrappers off the keys if all have them', () => {
    const wrapped = dict({ 'module._orig_mod.a': tensorOf, 'module._orig_mod.b': tensorOf });
    expect([...findStateDict(read(wrapped, '.'), 'x.pth').tensors.keys()]).toEqual(['a', 'b']);
    const deep = dict({ [`${'module.'.repeat(10)}a`]: tensorOf });
    expect([...findStateDict(read(deep, '.'), 'x.pth').tensors.keys()]).toEqual(['module.module.a']);
    const mixed = dict({ 'module.a': tensorOf, b: tensorOf });
    expect([...findStateDict(read(mixed, '.'), 'x.pth').tensors.keys()]).toEqual(['module.a', 'b']);
  });
});
