import type { StepTime } from '../devices/device.ts';
import { costOf } from '../graph/lower.ts';
import type { Problem } from '../kernels/problem.ts';
import type { Plan } from '../runtime/plan.ts';
import { quantile } from './compare.ts';
import type { ModelEngine } from './engine.ts';
import type { ModelCase } from './model-case.ts';

/** Time of one layer's kernel in one run, and what the layer costs by definition. */
export interface KernelTime {
  /** Layers of the same kernel do the same work. */
  readonly kernel: string;
  readonly kind: Kind;
  /** A product of matrices, or a convolution that is one: not depthwise, not grouped. */
  readonly dense: boolean;
  readonly macs: number;
  /** Every input, weight and output element once. */
  readonly bytes: number;
  readonly milliseconds: number;
}

const KINDS = [
  'depthwise',
  'pointwise',
  'block',
  'conv',
  'norm',
  'depthwise weight gradient',
  'pointwise weight gradient',
  'conv weight gradient',
  'weight packing',
  'element-wise',
  'sums',
  'optimizer',
  'other',
] as const;

/** What a layer's time is spent on. */
export type Kind = (typeof KINDS)[number];

/** Time of some layers in one run, together. */
export interface ProfileLine {
  readonly name: string;
  /** Layers. */
  readonly calls: number;
  readonly milliseconds: number;
  /** Of the whole network's time, 0 to 1. */
  readonly share: number;
  /** 2 · MACs / time, of the direct computation, which transforms may undercut. */
  readonly gflops: number;
  /** Bytes that must move, over time; what stays in caches counts too. */
  readonly gbPerSecond: number;
  /** `gflops` over the machine's multiply-add peak; null if that is not known. */
  readonly ofPeak: number | null;
}

/** Where a network's time goes on one device. */
export interface ModelProfile {
  readonly model: string;
  readonly shape: string;
  readonly engine: string;
  /** Runs whose medians these are. */
  readonly runs: number;
  /** Sum of all kernels. */
  readonly milliseconds: number;
  readonly peakGflops: number | null;
  /** By kernel, the longest first. */
  readonly kernels: readonly ProfileLine[];
  /** By kind of work. */
  readonly kinds: readonly ProfileLine[];
  /** All products of dense matrices: pointwise and dense convolutions, linear layers. */
  readonly dense: ProfileLine;
}

const RUNS = 15;
const MIN_RUNS = 3;
const PATIENCE_MS = 10_000;

/**
 * Profiles an engine over several runs, of which each kernel's median counts; undefined if it cannot tell. The peak
 * is measured before and after, because a busy machine may have hidden it when the device was opened.
 */
export async function profileModel(test: ModelCase, engine: ModelEngine): Promise<ModelProfile | undefined> {
  if (engine.profile === undefined) return undefined;
  const peaks = [engine.peakGflops ?? 0, (await engine.measurePeak?.()) ?? 0];
  const runs: KernelTime[][] = [];
  const begin = performance.now();
  while (runs.length < RUNS && (runs.length < MIN_RUNS || performance.now() - begin < PATIENCE_MS)) {
    runs.push(await engine.profile());
  }
  const layers = (runs[0] ?? []).map((layer, i) => {
    const times = runs.map((run) => run[i]?.milliseconds ?? NaN).toSorted((a, b) => a - b);
    return { ...layer, milliseconds: quantile(times, 0.5) };
  });
  peaks.push((await engine.measurePeak?.()) ?? 0);
  const peak = Math.max(...peaks);
  return {
    model: test.model,
    shape: test.shape,
    engine: engine.name,
    runs: runs.length,
    ...summarizeLayers(layers, peak > 0 ? peak : null),
  };
}

/** Groups layers by kernel and by kind. */
export function summarizeLayers(
  layers: readonly KernelTime[],
  peakGflops: number | null,
): Pick<ModelProfile, 'milliseconds' | 'peakGflops' | 'kernels' | 'kinds' | 'dense'> {
  const milliseconds = sum(layers.map((layer) => layer.milliseconds));
  const line = (name: string, some: readonly KernelTime[]): ProfileLine => {
    const time = sum(some.map((layer) => layer.milliseconds));
    const rate = (amount: number): number => (time > 0 ? amount / time / 1e6 : 0);
    const gflops = rate(2 * sum(some.map((layer) => layer.macs)));
    return {
      name,
      calls: some.length,
      milliseconds: time,
      share: milliseconds > 0 ? time / milliseconds : 0,
      gflops,
      gbPerSecond: rate(sum(some.map((layer) => layer.bytes))),
      ofPeak: peakGflops === null ? null : gflops / peakGflops,
    };
  };
  const names = [...new Set(layers.map((layer) => layer.kernel))];
  return {
    milliseconds,
    peakGflops,
    kernels: names
      .map((name) =>
        line(
          name,
          layers.filter((layer) => layer.kernel === name),
        ),
      )
      .sort((a, b) => b.milliseconds - a.milliseconds),
    kinds: KINDS.map((kind) =>
      line(
        kind,
        layers.filter((layer) => layer.kind === kind),
      ),
    ).filter(({ calls }) => calls > 0),
    dense: line(
      'dense matrix work',
      layers.filter((layer) => layer.dense),
    ),
  };
}

/** The times of a program's steps as times of the plan's layers, each of which has one step for each of its kernels. */
export function kernelTimes({ nodes }: Plan, steps: readonly StepTime[]): KernelTime[] {
  let next = 0;
  return nodes.map(({ node, problem, candidate }) => {
    const own = steps.slice(next, (next += candidate.emit().main.length));
    const { macs, bytes } = costOf(node);
    return {
      kernel: own[0]?.kernel ?? candidate.family,
      kind: kindOf(problem),
      dense: isDense(problem),
      macs,
      bytes,
      milliseconds: sum(own.map((step) => step.milliseconds)),
    };
  });
}

/** A product of matrices, or a convolution that is one: not depthwise, not grouped. */
export function isDense(problem: Problem): boolean {
  return (
    problem.op === 'pointwise' || problem.op === 'ffn' || (problem.op === 'conv' && problem.groups === 1)
  );
}

/** What kind of work a layer of inference is. */
export function kindOf({ op }: Problem): Kind {
  switch (op) {
    case 'depthwise':
    case 'pointwise':
    case 'conv':
      return op;
    case 'ffn':
    case 'convfirst':
    case 'convfirst-chain':
    case 'mbconv':
      return 'block';
    case 'layer-norm':
    case 'batch-norm':
      return 'norm';
    default:
      return 'other';
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
