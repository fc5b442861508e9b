import { WidefieldError, invalidArgument } from '../../core/errors.ts';
import type { Node, Parameter, Shape } from '../../graph/graph.ts';
import type {
  BatchNormOp,
  BlurPoolOp,
  ConvOp,
  ElementwiseOp,
  LayerNormOp,
  LinearOp,
  Op,
  PoolOp,
  ResizeOp,
} from '../../graph/op.ts';
import type { Activation, Epilogue, Padding } from '../../kernels/problem.ts';
import type { Layout, OnnxEmitter, Value } from './emitter.ts';
import type { OnnxAttribute } from './model.ts';

/** A node as ONNX nodes. Its inputs' values are `inputs`, in order. */
export function translateNode(emitter: OnnxEmitter, node: Node, inputs: readonly Value[]): Value {
  emitter.enter(node.name);
  return new NodeTranslation(emitter, node, inputs).translate(node.op);
}

/** The value of one name in one layout. */
export function valueIn(layout: Layout, name: string, shape: Shape): Value {
  return { shape, names: new Map([[layout, name]]) };
}

/**
 * Convolutions and pools want NCHW, as ONNX defines them; layer norms and linear layers want channels last, as
 * ONNX defines them too. Everything else takes values as they come, so that between the layers of a block nothing
 * is transposed.
 */
class NodeTranslation {
  readonly #emitter: OnnxEmitter;
  readonly #node: Node;
  readonly #inputs: readonly Value[];

  constructor(emitter: OnnxEmitter, node: Node, inputs: readonly Value[]) {
    this.#emitter = emitter;
    this.#node = node;
    this.#inputs = inputs;
  }

  translate(op: Op): Value {
    switch (op.type) {
      case 'input':
        throw invalidArgument('The input of a graph is not computed.');
      case 'ffn':
      case 'convfirst':
      case 'convfirst-chain':
      case 'mbconv':
        throw invalidArgument(`ONNX has no operator for the fused block ${this.#node.name}: split it first.`);
      case 'conv':
        return this.#conv(op);
      case 'linear':
        return this.#linear(op);
      case 'batch-norm':
        return this.#batchNorm(op);
      case 'layer-norm':
        return this.#layerNorm(op);
      case 'elementwise':
        return this.#elementwise(op);
      case 'layer-scale':
        return this.#inPlace((x, layout) =>
          this.#mul(x, this.#emitter.perChannel(this.#parameter('gamma'), layout)),
        );
      case 'channel-scale':
        return this.#channelScale();
      case 'pool':
        return this.#pool(op);
      case 'global-pool':
        return this.#globalPool();
      case 'softmax':
        return this.#inPlace((x, layout) =>
          this.#emitter.emit('Softmax', [x], { axis: channelAxis(layout) }),
        );
      case 'blur-pool':
        return this.#blurPool(op);
      case 'resize':
        return this.#resize(op);
      case 'concat':
        return this.#concat();
      default:
        throw invalidArgument(`${this.#node.name} is part of a training graph, which has no ONNX form.`);
    }
  }

  #conv({ groups, stride, dilation, padding, epilogue, ...op }: ConvOp): Value {
    const inputs = [this.#input(0, 'nchw'), this.#emitter.parameter(this.#parameter('weight'))];
    if (epilogue.bias) inputs.push(this.#emitter.parameter(this.#parameter('bias')));
    const y = this.#emitter.emit('Conv', inputs, {
      group: groups,
      kernel_shape: [op.kernelHeight, op.kernelWidth],
      pads: pads(padding),
      strides: [stride, stride],
      dilations: [dilation, dilation],
    });
    return this.#epilogue(epilogue, 'nchw', y);
  }

  #linear({ epilogue }: LinearOp): Value {
    const emitter = this.#emitter;
    const weight = this.#parameter('weight');
    const bias = epilogue.bias ? [emitter.parameter(this.#parameter('bias'))] : [];
    if (isPixel(this.#node.shape)) {
      const inputs = [this.#input(0, 'nc'), emitter.parameter(weight), ...bias];
      return this.#epilogue(epilogue, 'nc', emitter.emit('Gemm', inputs, { transB: 1 }));
    }
    if (emitter.linear === 'conv') {
      const inputs = [this.#input(0, 'nchw'), emitter.kernel(weight), ...bias];
      return this.#epilogue(epilogue, 'nchw', emitter.emit('Conv', inputs, { kernel_shape: [1, 1] }));
    }
    const product = emitter.emit('MatMul', [this.#input(0, 'nhwc'), emitter.transposed(weight)]);
    const y = bias.reduce((sum, term) => this.#add(sum, term), product);
    return this.#epilogue(epilogue, 'nhwc', y);
  }

  /** finalActivation(scale · activation(y) + residual), the bias being in y already. */
  #epilogue(epilogue: Epilogue, layout: Layout, y: string): Value {
    let name = this.#activate(epilogue.activation, y);
    if (epilogue.scale) name = this.#mul(name, this.#emitter.perChannel(this.#parameter('scale'), layout));
    if (!epilogue.residual) return this.#value(layout, this.#activate(epilogue.finalActivation, name));
    const terms = [this.#value(layout, name), this.#inputValue(1)];
    const common = commonLayout(terms);
    const [branch = '', residual = ''] = terms.map((term) => this.#emitter.as(term, common));
    return this.#value(common, this.#activate(epilogue.finalActivation, this.#add(branch, residual)));
  }

  #batchNorm({ epsilon, activation }: BatchNormOp): Value {
    const parameters = ['weight', 'bias', 'running_mean', 'running_var'].map((name) =>
      this.#emitter.parameter(this.#parameter(name)),
    );
    const y = this.#emitter.emit('BatchNormalization', [this.#input(0, 'nchw'), ...parameters], {
      epsilon: { float: epsilon },
    });
    return this.#value('nchw', this.#activate(activation, y));
  }

  #layerNorm({ epsilon, affine }: LayerNormOp): Value {
    const layout = isPixel(this.#node.shape) ? 'nc' : 'nhwc';
    // ONNX wants a scale in any case.
    const parameters = affine
      ? ['weight', 'bias'].map((name) => this.#emitter.parameter(this.#parameter(name)))
      : [this.#emitter.floats(new Array<number>(this.#node.shape[3]).fill(1))];
    const y = this.#emitter.emit('LayerNormalization', [this.#input(0, layout), ...parameters], {
      axis: -1,
      epsilon: { float: epsilon },
    });
    return this.#value(layout, y);
  }

  #elementwise({ steps }: ElementwiseOp): Value {
    const layout = commonLayout(this.#inputs);
    const [first = '', ...operands] = this.#inputs.map((input) => this.#emitter.as(input, layout));
    const rest = operands.values();
    const operand = (): string => rest.next().value ?? '';
    let y = first;
    for (const step of steps) {
      switch (step.kind) {
        case 'add':
          y = this.#add(y, operand());
          break;
        case 'mul':
          y = this.#mul(y, operand());
          break;
        case 'sub':
          y = this.#emitter.emit('Sub', [y, operand()]);
          break;
        case 'activation':
          y = this.#activate(step.activation, y);
          break;
        case 'affine':
          if (step.scale !== 1) y = this.#mul(y, this.#emitter.scalar(step.scale));
          if (step.shift !== 0) y = this.#add(y, this.#emitter.scalar(step.shift));
          break;
      }
    }
    return this.#value(layout, y);
  }

  #channelScale(): Value {
    const [layout] = layoutsOf(this.#inputValue(0));
    return this.#value(layout, this.#mul(this.#input(0, layout), this.#input(1, layout)));
  }

  #pool({ kind, stride, dilation, padding, countPadding, ...op }: PoolOp): Value {
    const attributes: Record<string, OnnxAttribute> = {
      kernel_shape: [op.kernelHeight, op.kernelWidth],
      pads: pads(padding),
      strides: [stride, stride],
    };
    if (kind === 'max' || dilation > 1) attributes.dilations = [dilation, dilation];
    if (kind === 'average') attributes.count_include_pad = countPadding ? 1 : 0;
    if (kind === 'average' && dilation > 1 && this.#emitter.opset < 19) {
      throw new WidefieldError(
        'unsupported',
        `${this.#node.name} is dilated: export it with opset 19 or later.`,
      );
    }
    const operator = kind === 'max' ? 'MaxPool' : 'AveragePool';
    return this.#value('nchw', this.#emitter.emit(operator, [this.#input(0, 'nchw')], attributes));
  }

  #globalPool(): Value {
    const [layout] = layoutsOf(this.#inputValue(0));
    if (layout !== 'nhwc') {
      return this.#value('nchw', this.#emitter.emit('GlobalAveragePool', [this.#input(0, 'nchw')]));
    }
    const x = this.#input(0, 'nhwc');
    const y =
      this.#emitter.opset < 18
        ? this.#emitter.emit('ReduceMean', [x], { axes: [1, 2], keepdims: 0 })
        : this.#emitter.emit('ReduceMean', [x, this.#emitter.integers([1, 2])], { keepdims: 0 });
    return this.#value('nc', y);
  }

  /** A reflected border of one pixel, then a depthwise convolution. An axis of one pixel repeats it instead. */
  #blurPool({ stride }: BlurPoolOp): Value {
    const [, height, width, channels] = this.#inputValue(0).shape;
    let x = this.#input(0, 'nchw');
    for (const mode of ['reflect', 'edge']) {
      const [vertical = 0, horizontal = 0] = [height, width].map((size) =>
        size > 1 === (mode === 'reflect') ? 1 : 0,
      );
      if (vertical + horizontal === 0) continue;
      const sides = [0, 0, vertical, horizontal, 0, 0, vertical, horizontal];
      x = this.#emitter.emit('Pad', [x, this.#emitter.integers(sides)], { mode });
    }
    const filter = [1, 2, 1, 2, 4, 2, 1, 2, 1].map((weight) => weight / 16);
    const weight = this.#emitter.floats(Array.from({ length: channels }, () => filter).flat(), [
      channels,
      1,
      3,
      3,
    ]);
    const y = this.#emitter.emit('Conv', [x, weight], {
      group: channels,
      kernel_shape: [3, 3],
      strides: [stride, stride],
    });
    return this.#value('nchw', y);
  }

  #resize({ height, width, alignCorners }: ResizeOp): Value {
    const [, fromHeight, fromWidth] = this.#inputValue(0).shape;
    // Scales, not sizes, because those would fix the batch.
    const scales = this.#emitter.floats([1, 1, scale(fromHeight, height), scale(fromWidth, width)]);
    const y = this.#emitter.emit('Resize', [this.#input(0, 'nchw'), '', scales], {
      mode: 'linear',
      coordinate_transformation_mode: alignCorners ? 'align_corners' : 'half_pixel',
    });
    return this.#value('nchw', y);
  }

  #concat(): Value {
    const layout = commonLayout(this.#inputs);
    const inputs = this.#inputs.map((input) => this.#emitter.as(input, layout));
    return this.#value(layout, this.#emitter.emit('Concat', inputs, { axis: channelAxis(layout) }));
  }

  #activate(activation: Activation, x: string): string {
    const emitter = this.#emitter;
    switch (activation) {
      case 'none':
        return x;
      case 'relu':
        return emitter.emit('Relu', [x]);
      case 'relu6':
        return emitter.emit('Clip', [x, emitter.scalar(0), emitter.scalar(6)]);
      case 'gelu':
        return this.#gelu(x);
      case 'silu':
        return this.#mul(x, emitter.emit('Sigmoid', [x]));
      case 'sigmoid':
        return emitter.emit('Sigmoid', [x]);
      case 'tanh':
        return emitter.emit('Tanh', [x]);
    }
  }

  /** Before opset 20: ½ · (x · (1 + erf(x / √2))), in the order that runtimes recognise and fuse. */
  #gelu(x: string): string {
    const emitter = this.#emitter;
    if (emitter.opset >= 20) return emitter.emit('Gelu', [x]);
    const erf = emitter.emit('Erf', [emitter.emit('Div', [x, emitter.scalar(Math.SQRT2)])]);
    return this.#mul(this.#mul(x, this.#add(erf, emitter.scalar(1))), emitter.scalar(0.5));
  }

  #add(a: string, b: string): string {
    return this.#emitter.emit('Add', [a, b]);
  }

  #mul(a: string, b: string): string {
    return this.#emitter.emit('Mul', [a, b]);
  }

  /** What keeps the layout of its only input. */
  #inPlace(compute: (x: string, layout: Layout) => string): Value {
    const [layout] = layoutsOf(this.#inputValue(0));
    return this.#value(layout, compute(this.#input(0, layout), layout));
  }

  #value(layout: Layout, name: string): Value {
    return valueIn(layout, name, this.#node.shape);
  }

  #input(index: number, layout: Layout): string {
    return this.#emitter.as(this.#inputValue(index), layout);
  }

  #inputValue(index: number): Value {
    const value = this.#inputs[index];
    if (value === undefined) throw invalidArgument(`${this.#node.name} lacks input ${index}.`);
    return value;
  }

  #parameter(name: string): Parameter {
    const parameter = this.#node.parameters[name];
    if (parameter === undefined) throw invalidArgument(`${this.#node.name} lacks its parameter ${name}.`);
    return parameter;
  }
}

/** The layouts in which a value exists, the one that it was computed in first. */
function layoutsOf(value: Value): [Layout, ...Layout[]] {
  const [first = 'nchw', ...others] = value.names.keys();
  return [first, ...others];
}

/** A layout in which all values exist, else NCHW. */
function commonLayout(values: readonly Value[]): Layout {
  const [first, ...others] = values;
  if (first === undefined) return 'nchw';
  return layoutsOf(first).find((layout) => others.every(({ names }) => names.has(layout))) ?? 'nchw';
}

function channelAxis(layout: Layout): number {
  return layout === 'nchw' ? 1 : -1;
}

function isPixel([, height, width]: Shape): boolean {
  return height === 1 && width === 1;
}

function pads({ top, left, bottom, right }: Padding): number[] {
  return [top, left, bottom, right];
}

/** The float32 factor by which ONNX's rule, ⌊size · factor⌋, gives exactly the size wanted in float32 and float64. */
function scale(size: number, wanted: number): number {
  const factor = Math.fround(wanted / size);
  return size * factor < wanted ? Math.fround(factor * (1 + 2 ** -23)) : factor;
}
