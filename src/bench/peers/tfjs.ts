import type { Tensor2D, Tensor4D } from '@tensorflow/tfjs-core';

import type { DepthwiseProblem, PointwiseProblem } from '../../kernels/problem.ts';
import type { BenchCase } from '../case.ts';
import { timer } from '../engine.ts';
import type { Engine, Peer } from '../engine.ts';
import { transpose } from '../layout.ts';
import { tfjsTraining } from './tfjs-training.ts';

type Tfjs = typeof import('@tensorflow/tfjs-core');

/** TensorFlow.js with its WebAssembly backend, which under Node has one thread whatever is asked for. */
export async function openTfjs(): Promise<Peer> {
  const tf = await import('@tensorflow/tfjs-core');
  await import('@tensorflow/tfjs-backend-wasm');
  if (!(await tf.setBackend('wasm'))) throw new Error('its wasm backend does not start');
  await tf.ready();
  return {
    version: tf.version_core,
    prepare: (test) => {
      const { problem } = test;
      return Promise.resolve([
        problem.op === 'depthwise' ? depthwise(tf, problem, test) : pointwise(tf, problem, test),
      ]);
    },
    prepareTraining: (test) => tfjsTraining(tf, test),
    dispose: () => Promise.resolve(),
  };
}

function depthwise(tf: Tfjs, problem: DepthwiseProblem, { input, weight }: BenchCase): Engine {
  const { batch, height, width, channels, kernelHeight, kernelWidth, padding } = problem;
  const x = tf.tensor4d(input, [batch, height, width, channels]);
  const taps = kernelHeight * kernelWidth;
  const filter = transpose(weight, channels, taps);
  const w = tf.tensor4d(filter, [kernelHeight, kernelWidth, channels, 1]);
  const symmetric = padding.top === padding.bottom && padding.left === padding.right;
  const square = symmetric && padding.top === padding.left;
  const run = (): Tensor4D => {
    // The backend takes explicit padding only if it is the same on all sides; SAME pads the end more.
    if (square) return tf.depthwiseConv2d(x, w, 1, padding.top);
    if (symmetric) return tf.depthwiseConv2d(x, w, 1, 'same');
    return tf.tidy(() => {
      const { top, bottom, left, right } = padding;
      return tf.depthwiseConv2d(
        tf.pad4d(x, [
          [0, 0],
          [top, bottom],
          [left, right],
          [0, 0],
        ]),
        w,
        1,
        'valid',
      );
    });
  };
  return engine(
    run,
    [x, w],
    'depthwiseConv2d NHWC',
    'one depthwiseConv2d; the result stays in WebAssembly memory',
  );
}

function pointwise(tf: Tfjs, problem: PointwiseProblem, { input, weight }: BenchCase): Engine {
  const { rows, inputs, outputs } = problem;
  const x = tf.tensor2d(input, [rows, inputs]);
  const w = tf.tensor2d(transpose(weight, outputs, inputs), [inputs, outputs]);
  return engine(
    () => tf.matMul(x, w),
    [x, w],
    'matMul',
    'one matMul; the result stays in WebAssembly memory',
  );
}

function engine(
  run: () => Tensor2D | Tensor4D,
  operands: readonly (Tensor2D | Tensor4D)[],
  config: string,
  timingIncludes: string,
): Engine {
  return {
    name: 'tfjs',
    device: 'wasm',
    threads: 1,
    config,
    timingIncludes,
    // The backend computes synchronously: when the call returns, the result is there.
    time: timer(() => {
      run().dispose();
    }),
    output: async () => {
      const result = run();
      const values = Float32Array.from(await result.data());
      result.dispose();
      return values;
    },
    dispose: () => {
      for (const operand of operands) operand.dispose();
      return Promise.resolve();
    },
  };
}
