import { InvalidArgumentError } from 'commander';
import { describe, expect, test } from 'vitest';

import {
  parseCounts,
  parseDevices,
  parseKernels,
  parseMapShapes,
  parseModel,
  parsePeers,
  parseResolution,
  parseRowsShapes,
  parseSeconds,
  parseThreads,
} from '../../src/cli/options.ts';

test('resolutions are squares, or height x width', () => {
  expect(parseResolution('224')).toBe(224);
  expect(parseResolution('192x256')).toEqual([192, 256]);
  expect(parseResolution('64x64')).toBe(64);
});

test('models are known by name, and unknown ones answered with those nearby', () => {
  expect(parseModel('slak-tiny')).toBe('slak-tiny');
  expect(() => parseModel('RepLKNet31B')).toThrow('replknet-31b');
});

test('shapes may be separated by semicolons or given again', () => {
  const first = parseMapShapes('1,56,56,128; 2,28,28,256');
  expect(first).toEqual([
    [1, 56, 56, 128],
    [2, 28, 28, 256],
  ]);
  expect(parseMapShapes('1,7,7,512', first)).toHaveLength(3);
});

test('the rows of a matrix product may be given as a map', () => {
  expect(parseRowsShapes('3136,128;2,7,7,512')).toEqual([
    { rows: 3136, inputs: 128 },
    { rows: 98, inputs: 512 },
  ]);
});

test('kernels are squares or rectangles', () => {
  expect(parseKernels('3,51x5')).toEqual([
    { height: 3, width: 3 },
    { height: 51, width: 5 },
  ]);
});

test('names of devices and peers', () => {
  expect(parseDevices('wasm,native,wasm')).toEqual(['wasm', 'native']);
  expect(parseDevices('none')).toEqual([]);
  expect(parsePeers('tfjs, pytorch')).toEqual(['tfjs', 'pytorch']);
  expect(parsePeers('all')).toContain('onnxruntime-node');
  expect(parsePeers('none')).toEqual([]);
});

test('numbers', () => {
  expect(parseCounts('512,1024', [1])).toEqual([1, 512, 1024]);
  expect(parseThreads('4')).toBe(4);
  expect(parseSeconds('0.25')).toBe(0.25);
});

describe('nonsense is refused with one sentence', () => {
  const attempts: readonly (readonly [string, () => unknown])[] = [
    ['three numbers', () => parseMapShapes('1,56,56')],
    ['five numbers', () => parseMapShapes('1,56,56,128,1')],
    ['zero', () => parseMapShapes('0,56,56,128')],
    ['negative', () => parseMapShapes('1,-56,56,128')],
    ['fraction', () => parseMapShapes('1,5.6,56,128')],
    ['exponent', () => parseMapShapes('1,56,56,1e3')],
    ['hexadecimal', () => parseMapShapes('1,56,56,0x10')],
    ['empty', () => parseMapShapes('')],
    ['trailing comma', () => parseKernels('3,')],
    ['kernel 0', () => parseKernels('0')],
    ['kernel 153', () => parseKernels('153')],
    ['three-dimensional kernel', () => parseKernels('3x3x3')],
    ['word', () => parseKernels('big')],
    ['one number', () => parseRowsShapes('128')],
    ['too many rows', () => parseRowsShapes('4096,4096,4096,3')],
    ['no threads', () => parseThreads('0')],
    ['too many threads', () => parseThreads('65')],
    ['no time', () => parseSeconds('0')],
    ['negative time', () => parseSeconds('-1')],
    ['not a time', () => parseSeconds('soon')],
    ['no resolution', () => parseResolution('0')],
    ['half a resolution', () => parseResolution('224x')],
    ['three sides', () => parseResolution('1x2x3')],
    ['unknown device', () => parseDevices('cuda')],
    ['unknown peer', () => parsePeers('tensorflow')],
  ];
  test.each(attempts)('%s', (_name, attempt) => {
    expect(attempt).toThrow(InvalidArgumentError);
    expect(attempt).toThrow(/^[A-Z][^\n]*[."]$/);
  });
});
