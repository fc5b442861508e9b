import { makeNode } from '../../graph/builder.ts';
import type { ConvOp, PoolOp } from '../../graph/op.ts';
import { NO_EPILOGUE } from '../../kernels/problem.ts';
import type { Padding } from '../../kernels/problem.ts';
import { constantInput, mapInput, nameOf } from './import-call.ts';
import type { OnnxCall } from './import-call.ts';
import { hasNoCost, intAttribute, intsAttribute, textAttribute } from './import-index.ts';
import type { ProtoNode } from './import-proto.ts';
import { NCHW, axisSize, dataIn } from './import-values.ts';
import type { Data } from './import-values.ts';

/** A convolution of any kind over a map. */
export function conv(call: OnnxCall): Data {
  const { node, parameters } = call;
  const x = mapInput(call);
  const weight = constantInput(call, 1, 'weight');
  const [outputs = 0, perGroup = 0, kernelHeight = 0, kernelWidth = 0] = weight.shape;
  const groups = intAttribute(node, 'group', 1);
  if (weight.shape.length !== 4 || perGroup * groups !== axisSize(x.node, 'c')) {
    throw hasNoCost(node, `its weight [${weight.shape.join(', ')}] does not fit its input`);
  }
  const hasBias = call.inputs[2] !== undefined;
  const op: ConvOp = {
    ...{ type: 'conv', outputs, groups },
    ...windowOf(call, x, [kernelHeight, kernelWidth]),
    epilogue: { ...NO_EPILOGUE, bias: hasBias },
  };
  const kernel = parameters.add(weight, weight.shape);
  return dataIn(
    NCHW,
    makeNode(nameOf(node, kernel, call), op, [x.node], {
      weight: kernel,
      ...(hasBias && { bias: parameters.add(constantInput(call, 2, 'bias'), [outputs]) }),
    }),
  );
}

type WindowOp = Pick<ConvOp, 'kernelHeight' | 'kernelWidth' | 'stride' | 'dilation' | 'padding'>;

function windowOf(call: OnnxCall, x: Data, [kernelHeight, kernelWidth]: readonly [number, number]): WindowOp {
  const { node } = call;
  const stride = same(node, 'strides');
  const dilation = same(node, 'dilations');
  const sizes = { kernelHeight, kernelWidth, stride, dilation };
  return { ...sizes, padding: paddingOf(call, x, sizes) };
}

/** One number for height and width. */
function same(node: ProtoNode, name: string): number {
  const [height = 1, width = height, ...others] = intsAttribute(node, name) ?? [];
  if (height === width && height >= 1 && others.length === 0) return height;
  throw hasNoCost(node, `its ${name} differ between height and width`);
}

function paddingOf(call: OnnxCall, x: Data, window: Omit<WindowOp, 'padding'>): Padding {
  const { node } = call;
  const [before, after] = [call.pads?.slice(0, 2) ?? [0, 0], call.pads?.slice(2) ?? [0, 0]];
  const auto = textAttribute(node, 'auto_pad', 'NOTSET');
  if (auto === 'NOTSET' || auto === 'VALID') {
    const pads = auto === 'VALID' ? [] : (intsAttribute(node, 'pads') ?? []);
    if (![0, 4].includes(pads.length) || pads.some((pad) => pad < 0))
      throw hasNoCost(node, 'its pads are not those of a map');
    const [top = 0, left = 0, bottom = 0, right = 0] = pads;
    return {
      top: top + (before[0] ?? 0),
      left: left + (before[1] ?? 0),
      bottom: bottom + (after[0] ?? 0),
      right: right + (after[1] ?? 0),
    };
  }
  if (call.pads !== undefined) throw hasNoCost(node, 'it pads what is padded already');
  const [top, bottom] = samePads(auto, axisSize(x.node, 'h'), window.kernelHeight, window);
  const [left, right] = samePads(auto, axisSize(x.node, 'w'), window.kernelWidth, window);
  return { top, left, bottom, right };
}

/** Zeros before and after for ⌈size / stride⌉ outputs; an odd one goes to the end, or to the beginning. */
function samePads(
  auto: string,
  size: number,
  kernel: number,
  { stride, dilation }: Pick<WindowOp, 'stride' | 'dilation'>,
): readonly [number, number] {
  const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size);
  const small = Math.floor(total / 2);
  return auto === 'SAME_LOWER' ? [total - small, small] : [small, total - small];
}

/** Maximum or average over windows. */
export function pool(call: OnnxCall): Data {
  const { node } = call;
  const x = mapInput(call);
  const [kernelHeight = 0, kernelWidth = 0, ...others] = intsAttribute(node, 'kernel_shape') ?? [];
  if (kernelHeight < 1 || kernelWidth < 1 || others.length > 0)
    throw hasNoCost(node, 'its window is not that of a map');
  const kind = node.operator === 'MaxPool' ? 'max' : 'average';
  const window = windowOf(call, x, [kernelHeight, kernelWidth]);
  // Zeros that a Pad adds count in any case.
  const isPadded = call.pads?.some((pad) => pad > 0) ?? false;
  const ownPads = intsAttribute(node, 'pads')?.some((pad) => pad > 0) ?? false;
  const countPadding = kind === 'average' && (isPadded || intAttribute(node, 'count_include_pad', 0) === 1);
  const isCeil = intAttribute(node, 'ceil_mode', 0) === 1;
  const [, height, width] = x.node.shape;
  const { padding, stride, dilation } = window;
  const bottom = ceilPad(height, padding.top, padding.bottom, (kernelHeight - 1) * dilation + 1, stride);
  const right = ceilPad(width, padding.left, padding.right, (kernelWidth - 1) * dilation + 1, stride);
  const extra = isCeil ? { bottom, right } : { bottom: padding.bottom, right: padding.right };
  const grows = extra.bottom > padding.bottom || extra.right > padding.right;
  if (isPadded && (kind === 'max' || (ownPads && intAttribute(node, 'count_include_pad', 0) === 0))) {
    throw hasNoCost(node, 'it pads what is padded already');
  }
  if (grows && countPadding) throw hasNoCost(node, 'it rounds up and counts padding');
  const op: PoolOp = { type: 'pool', kind, ...window, padding: { ...padding, ...extra }, countPadding };
  return dataIn(NCHW, makeNode(nameOf(node), op, [x.node]));
}

/** Padding at the end for as many windows as rounding up gives; the last one begins on the map or on the padding before it. */
function ceilPad(size: number, before: number, after: number, extent: number, stride: number): number {
  const last = Math.ceil((size + before + after - extent) / stride) * stride;
  const start = last >= size + before ? last - stride : last;
  return Math.max(after, start + extent - size - before);
}
