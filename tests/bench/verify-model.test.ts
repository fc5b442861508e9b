import { expect, test } from 'vitest';

import { judge, relativeError } from '../../src/bench/verify-model.ts';
import type { EngineOutput } from '../../src/bench/verify-model.ts';

const LOGITS = [1, -4, 2, 0.5];

function output(engine: string, changes: Partial<Record<number, number>> = {}): EngineOutput {
  const values = LOGITS.map((value, i) => changes[i] ?? value);
  return { engine, output: Float32Array.from(values), precision: 'float32' };
}

test('ONNX Runtime is the reference, else PyTorch, else another engine', () => {
  const compared = (...engines: string[]) =>
    judge(engines.map((engine) => output(engine))).map(({ comparedWith }) => comparedWith);
  expect(compared('widefield-wasm', 'pytorch', 'onnxruntime-node')).toEqual([
    'onnxruntime-node',
    'onnxruntime-node',
    null,
  ]);
  expect(compared('widefield-wasm', 'onnxruntime-web', 'pytorch')).toEqual(['pytorch', 'pytorch', null]);
  expect(compared('widefield-native', 'widefield-wasm')).toEqual([null, 'widefield-native']);
  expect(compared('widefield-native')).toEqual([null]);
});

test('the error is relative to the largest logit, and 1e-4 is the limit', () => {
  const [, good, bad] = judge([
    output('onnxruntime-node'),
    output('widefield-native', { 0: 1 + 2e-4 }),
    output('widefield-wasm', { 3: 0.5 + 8e-4 }),
  ]);
  expect(good).toMatchObject({ correct: true });
  expect(good?.maxRelError).toBeCloseTo(5e-5, 7);
  expect(bad).toMatchObject({ correct: false });
  expect(bad?.maxRelError).toBeCloseTo(2e-4, 7);
});

test('bfloat16 may be less exact, but not wrong', () => {
  const verdict = (error: number) =>
    judge([
      output('onnxruntime-node'),
      { ...output('widefield-native', { 1: -4 * (1 + error) }), precision: 'bf16' },
    ])[1];
  expect(verdict(0.01)).toMatchObject({ correct: true, comparedWith: 'onnxruntime-node' });
  expect(verdict(0.1)).toMatchObject({ correct: false });
});

test('what is not a number, or of another length, is wrong and no reference', () => {
  expect(
    judge([
      output('onnxruntime-node', { 2: NaN }),
      output('widefield-native'),
      { ...output('widefield-wasm'), output: new Float32Array(3) },
    ]),
  ).toEqual([
    { comparedWith: 'widefield-native', maxRelError: null, correct: false },
    { comparedWith: null, maxRelError: null, correct: true },
    { comparedWith: 'widefield-native', maxRelError: null, correct: false },
  ]);
  expect(judge([output('pytorch', { 0: Infinity })])).toEqual([
    { comparedWith: null, maxRelError: null, correct: false },
  ]);
});

test('zeros are right only for zeros', () => {
  const zeros = new Float32Array(2);
  expect(relativeError(zeros, zeros)).toBe(0);
  expect(relativeError(Float32Array.of(0, 1e-9), zeros)).toBe(Infinity);
});
