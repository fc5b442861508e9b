import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-node';

import { encodeModel } from '../../checkpoints/onnx/model.ts';
import type { OnnxNode } from '../../checkpoints/onnx/model.ts';
import type { DepthwiseProblem, PointwiseProblem } from '../../kernels/problem.ts';
import type { BenchCase } from '../case.ts';
import { timer } from '../engine.ts';
import type { Engine } from '../engine.ts';
import { nchwToNhwc, nhwcToNchw, transpose } from '../layout.ts';

/** What onnxruntime-node and onnxruntime-web have in common. */
export interface OrtApi {
  readonly InferenceSession: {
    create(model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: TensorConstructor;
}

/** A computation as a model with one input and one output, the input in the model's layout, and the way back. */
export interface OrtForm {
  readonly name: string;
  readonly model: Uint8Array;
  readonly inputName: string;
  readonly outputName: string;
  readonly input: Float32Array;
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
  /** From the model's layout to [N, H, W, C] or [rows, outputs]. */
  readonly toNhwc: (output: Float32Array) => Float32Array;
}

/** All sensible forms of the problem: which one is quickest depends on shape and runtime. */
export function ortForms(test: BenchCase): OrtForm[] {
  const { problem } = test;
  if (problem.op === 'depthwise') return [depthwise(problem, test)];
  return [gemm(problem, test), pointwiseConv(problem, test)];
}

function depthwise(problem: DepthwiseProblem, { input, weight }: BenchCase): OrtForm {
  const { batch, height, width, channels, kernelHeight, kernelWidth, padding, stride, dilation } = problem;
  const shape = [batch, channels, height, width];
  return form('Conv NCHW', {
    node: {
      operator: 'Conv',
      inputs: ['x', 'w'],
      outputs: ['y'],
      attributes: {
        group: channels,
        kernel_shape: [kernelHeight, kernelWidth],
        pads: [padding.top, padding.left, padding.bottom, padding.right],
        strides: [stride, stride],
        dilations: [dilation, dilation],
      },
    },
    weight,
    weightShape: [channels, 1, kernelHeight, kernelWidth],
    input: nhwcToNchw(input, batch, height * width, channels),
    inputShape: shape,
    outputShape: shape,
    toNhwc: (output) => nchwToNhwc(output, batch, height * width, channels),
  });
}

function gemm(problem: PointwiseProblem, { input, weight }: BenchCase): OrtForm {
  const { rows, inputs, outputs } = problem;
  return form('Gemm', {
    node: { operator: 'Gemm', inputs: ['x', 'w'], outputs: ['y'] },
    weight: transpose(weight, outputs, inputs),
    weightShape: [inputs, outputs],
    input,
    inputShape: [rows, inputs],
    outputShape: [rows, outputs],
    toNhwc: (output) => output,
  });
}

function pointwiseConv(problem: PointwiseProblem, { input, weight }: BenchCase): OrtForm {
  const { rows, inputs, outputs } = problem;
  return form('Conv 1×1 NCHW', {
    node: { operator: 'Conv', inputs: ['x', 'w'], outputs: ['y'], attributes: { kernel_shape: [1, 1] } },
    weight,
    weightShape: [outputs, inputs, 1, 1],
    input: transpose(input, rows, inputs),
    inputShape: [1, inputs, rows, 1],
    outputShape: [1, outputs, rows, 1],
    toNhwc: (output) => transpose(output, outputs, rows),
  });
}

interface FormParts extends Omit<OrtForm, 'name' | 'model' | 'inputName' | 'outputName'> {
  readonly node: OnnxNode;
  readonly weight: Float32Array;
  readonly weightShape: readonly number[];
}

function form(name: string, { node, weight, weightShape, ...rest }: FormParts): OrtForm {
  const model = encodeModel({
    nodes: [node],
    inputs: [{ name: 'x', shape: rest.inputShape }],
    outputs: [{ name: 'y', shape: rest.outputShape }],
    initializers: [{ name: 'w', shape: weightShape, values: weight }],
  });
  return { name, model, inputName: 'x', outputName: 'y', ...rest };
}

export interface OrtEngineOptions {
  readonly name: string;
  readonly device: Engine['device'];
  readonly threads: number;
  readonly session: InferenceSession.SessionOptions;
  /** Write into an output tensor allocated once, instead of a new one each time. */
  readonly preallocate: boolean;
  readonly timingIncludes: string;
}

export async function ortEngine(ort: OrtApi, form: OrtForm, options: OrtEngineOptions): Promise<Engine> {
  const { inputName, outputName, outputShape } = form;
  const session = await ort.InferenceSession.create(form.model, options.session);
  const tensor = (data: Float32Array, shape: readonly number[]): Tensor =>
    new ort.Tensor('float32', data, shape);
  const feeds = { [inputName]: tensor(form.input, form.inputShape) };
  const outputSize = outputShape.reduce((a, b) => a * b, 1);
  const fetches = {
    [outputName]: options.preallocate ? tensor(new Float32Array(outputSize), outputShape) : null,
  };
  let results: InferenceSession.ReturnType = {};
  // The closures below must not hold the model, which is as large as its weights.
  const toNhwc = form.toNhwc;
  const { name, device, threads, timingIncludes } = options;
  return {
    name,
    device,
    threads,
    config: form.name,
    timingIncludes,
    time: timer(async () => {
      results = await session.run(feeds, fetches);
    }),
    output: () => Promise.resolve(toNhwc(results[outputName]?.data as Float32Array)),
    dispose: () => session.release(),
  };
}
