import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';

import type { numpy } from '@jax-js/jax';

import type { DepthwiseProblem, PointwiseProblem } from '../../kernels/problem.ts';
import type { BenchCase } from '../case.ts';
import { quickest, timer } from '../engine.ts';
import type { Engine, Peer } from '../engine.ts';
import { nchwToNhwc, nhwcToNchw, transpose } from '../layout.ts';

type Jax = typeof import('@jax-js/jax');
type JaxArray = numpy.Array;

/** One way to compute a problem. Like every function of jax-js, `run` consumes its arguments. */
interface Form {
  readonly name: string;
  readonly x: { readonly data: Float32Array; readonly shape: number[] };
  readonly w: { readonly data: Float32Array; readonly shape: number[] };
  run(x: JaxArray, w: JaxArray): JaxArray;
  /** From the form's layout to [N, H, W, C]. */
  toNhwc(output: Float32Array): Float32Array;
}

/** jax-js with its WebAssembly backend, which under Node has one thread whatever is asked for. */
export async function openJaxJs(): Promise<Peer> {
  const jax = await import('@jax-js/jax');
  if (!(await jax.init('wasm')).includes('wasm')) throw new Error('its wasm backend does not start');
  jax.defaultDevice('wasm');
  return {
    version: await packageVersion(),
    prepare: async (test, signal) => {
      const { problem } = test;
      const forms =
        problem.op === 'depthwise' ? depthwise(jax, problem, test) : pointwise(jax, problem, test);
      const makers = forms.map((form) => () => engine(jax, form));
      return [await quickest(makers, signal)];
    },
    dispose: () => Promise.resolve(),
  };
}

/** Eager with padding inside the convolution; or padding and convolution compiled separately. */
function depthwise(jax: Jax, problem: DepthwiseProblem, { input, weight }: BenchCase): Form[] {
  const { batch, height, width, channels, kernelHeight, kernelWidth, padding } = problem;
  const pixels = height * width;
  const vertical: [number, number] = [padding.top, padding.bottom];
  const horizontal: [number, number] = [padding.left, padding.right];
  const grouped = { featureGroupCount: channels };
  const data = {
    x: { data: nhwcToNchw(input, batch, pixels, channels), shape: [batch, channels, height, width] },
    w: { data: weight, shape: [channels, 1, kernelHeight, kernelWidth] },
    toNhwc: (output: Float32Array) => nchwToNhwc(output, batch, pixels, channels),
  };
  const pad = jax.jit((x: JaxArray) => jax.numpy.pad(x, [[0, 0], [0, 0], vertical, horizontal]));
  const conv = jax.jit((x: JaxArray, w: JaxArray) =>
    jax.lax.convGeneralDilated(x, w, [1, 1], 'VALID', grouped),
  );
  return [
    {
      ...data,
      name: 'convGeneralDilated NCHW, eager',
      run: (x, w) => jax.lax.convGeneralDilated(x, w, [1, 1], [vertical, horizontal], grouped),
    },
    { ...data, name: 'jit(pad), then jit(convGeneralDilated) NCHW', run: (x, w) => conv(pad(x), w) },
  ];
}

function pointwise(jax: Jax, problem: PointwiseProblem, { input, weight }: BenchCase): Form[] {
  const { rows, inputs, outputs } = problem;
  const x = { data: input, shape: [rows, inputs] };
  const contraction = { lhsContractingDims: [1], rhsContractingDims: [1] };
  return [
    {
      name: 'matmul, eager',
      x,
      w: { data: transpose(weight, outputs, inputs), shape: [inputs, outputs] },
      run: (a, b) => jax.numpy.matmul(a, b),
      toNhwc: (output) => output,
    },
    {
      name: 'dot with transposed weights, eager',
      x,
      w: { data: weight, shape: [outputs, inputs] },
      run: (a, b) => jax.lax.dot(a, b, contraction),
      toNhwc: (output) => output,
    },
  ];
}

async function engine(jax: Jax, form: Form): Promise<Engine> {
  const array = async ({ data, shape }: Form['x']): Promise<JaxArray> =>
    jax.numpy.array(data).reshape(shape).blockUntilReady();
  const x = await array(form.x);
  const w = await array(form.w);
  const run = (): JaxArray => form.run(x.ref, w.ref);
  return {
    name: 'jax-js',
    device: 'wasm',
    threads: 1,
    config: form.name,
    timingIncludes: 'one call with padding, until blockUntilReady; the result stays in WebAssembly memory',
    time: timer(async () => {
      (await run().blockUntilReady()).dispose();
    }),
    output: async () => form.toNhwc(Float32Array.from((await run().data()) as Float32Array)),
    dispose: () => {
      x.dispose();
      w.dispose();
      return Promise.resolve();
    },
  };
}

/** The package exports no version; its manifest lies two folders above its entry point. */
async function packageVersion(): Promise<string> {
  const entry = createRequire(import.meta.url).resolve('@jax-js/jax');
  const parsed: unknown = JSON.parse(await readFile(path.join(entry, '../../package.json'), 'utf8'));
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : '?';
}
