import { expect, it } from 'vitest';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { describeOp, dump } from '../../src/graph/dump.ts';
import type { Op } from '../../src/graph/op.ts';
import { NO_EPILOGUE } from '../../src/kernels/problem.ts';

it('dump shows a line a node, and the outputs', () => {
  const b = new GraphBuilder('all ops');
  const x = b.input([1, 8, 8, 4]);
  let y = b.conv(x, 'stem', { outputs: 4, kernel: [3, 5], stride: 2, groups: 2, dilation: 2, bias: true });
  y = b.relu(b.batchNorm(b.maxPool(y, { kernel: 3, stride: 1, padding: 1 }), 'bn'));
  y = b.layerScale(b.layerNorm(y, 'norm'), 'gamma');
  b.output('features', y);
  const gate = b.activation(b.linear(b.globalPool(y), 'fc', 4), 'sigmoid');
  y = b.add(b.channelScale(y, gate), y, y);
  b.output('logits', b.softmax(b.concat(b.blurPool(y, 2), b.resize(y, 2, 2))));
  expect(dump(b.build())).toMatchInlineSnapshot(`
    "all ops
    %0 [1, 8, 8, 4] = input ()  input
    %1 [1, 4, 4, 4] = conv 3×5 stride 2 dilation 2 groups 2, bias (%0)  stem
    %2 [1, 4, 4, 4] = max pool 3×3 stride 1 (%1)  maxpool
    %3 [1, 4, 4, 4] = batch-norm (%2)  bn
    %4 [1, 4, 4, 4] = relu (%3)  relu
    %5 [1, 4, 4, 4] = layer-norm (%4)  norm
    %6 [1, 4, 4, 4] = layer-scale (%5)  gamma
    %7 [1, 1, 1, 4] = global-pool (%6)  avgpool
    %8 [1, 1, 1, 4] = linear, bias (%7)  fc
    %9 [1, 1, 1, 4] = sigmoid (%8)  sigmoid
    %10 [1, 4, 4, 4] = channel-scale (%6, %9)  scale
    %11 [1, 4, 4, 4] = add, add (%10, %6, %6)  add
    %12 [1, 2, 2, 4] = blur-pool stride 2 (%11)  blurpool
    %13 [1, 2, 2, 4] = resize to 2×2 (%11)  resize
    %14 [1, 2, 2, 8] = concat (%12, %13)  concat
    %15 [1, 2, 2, 8] = softmax (%14)  softmax
    features = %6
    logits = %15
    "
  `);
});

it('describeOp names all parts of an epilogue and all steps of a chain', () => {
  const linear: Op = {
    type: 'linear',
    outputs: 4,
    epilogue: { bias: true, activation: 'gelu', scale: true, residual: true, finalActivation: 'relu' },
  };
  expect(describeOp(linear)).toBe('linear, bias, gelu, scale, residual, relu');
  expect(describeOp({ ...linear, epilogue: NO_EPILOGUE })).toBe('linear');
  const steps = [{ kind: 'sub' }, { kind: 'mul' }, { kind: 'affine', scale: 2, shift: -1 }] as const;
  expect(describeOp({ type: 'elementwise', steps })).toBe('sub, mul, × 2 + -1');
  expect(describeOp({ type: 'batch-norm', epsilon: 1e-5, activation: 'silu' })).toBe('batch-norm, silu');
  expect(describeOp({ type: 'layer-norm', epsilon: 1e-6, affine: false })).toBe('layer-norm without weights');
});
