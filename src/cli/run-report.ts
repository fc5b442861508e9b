import type { FeatureMap } from '../runtime/model.ts';
import type { Resolution } from './options.ts';
import { formatNumber, formatTable, right } from './table.ts';

/** What `widefield run` found out. */
export interface RunReport {
  readonly model: string;
  readonly resolution: Resolution;
  readonly device: string;
  /** [N, classes]. */
  readonly shape: readonly number[];
  /** Logits. */
  readonly output: Float32Array;
  readonly features?: readonly StageFeatures[];
}

export interface StageFeatures extends FeatureMap {
  readonly stage: string;
  /** Pixels of the input for one of the map. */
  readonly stride: number;
}

const TOP = 5;
/** Numbers in one piece of JSON: texts have a limit, and maps of features may be beyond it. */
const PIECE = 2 ** 16;

/** `{"model","resolution","device","shape","output"}` and, if there are any, `"features"`; values are flat. */
export function* reportJson({ output, features, ...facts }: RunReport): Generator<string> {
  yield `${JSON.stringify(facts).slice(0, -1)},"output":`;
  yield* numbers(output);
  if (features !== undefined) {
    yield ',"features":[';
    for (const [i, { stage, stride, shape, values }] of features.entries()) {
      yield `${i > 0 ? ',' : ''}${JSON.stringify({ stage, stride, shape }).slice(0, -1)},"values":`;
      yield* numbers(values);
      yield '}';
    }
    yield ']';
  }
  yield '}\n';
}

/** Nine significant digits tell any two float32 apart; NaN and infinity become null, JSON has no such numbers. */
function* numbers(values: Float32Array): Generator<string> {
  yield '[';
  for (let first = 0; first < values.length; first += PIECE) {
    const some = values.subarray(first, first + PIECE);
    const texts = Array.from(some, (x) => (Number.isFinite(x) ? String(Number(x.toPrecision(9))) : 'null'));
    yield `${first > 0 ? ',' : ''}${texts.join(',')}`;
  }
  yield ']';
}

/** For people: sizes, ranges, and the best classes of each image. */
export function formatRun({ model, resolution, device, shape, output, features = [] }: RunReport): string {
  const pixels = typeof resolution === 'number' ? [resolution, resolution] : resolution;
  const tensors = [
    { name: 'logits', shape, values: output },
    ...features.map(({ stage, ...map }) => ({ name: stage, ...map })),
  ];
  const ranges = formatTable(
    [{ title: 'output' }, { title: 'shape' }, right('min'), right('max')],
    tensors.map(({ name, shape: sizes, values }) => {
      const { min, max } = range(values);
      return [name, `[${sizes.join(', ')}]`, formatNumber(min), formatNumber(max)];
    }),
  );
  const [images = 0, classes = 0] = shape;
  const best = Array.from({ length: images }, (_, n) => {
    const logits = output.subarray(n * classes, (n + 1) * classes);
    const shown = topClasses(logits).map((index) => `${index} (${formatNumber(logits[index] ?? NaN)})`);
    return `${images > 1 ? `image ${n}: ` : ''}best classes ${shown.join(', ')}`;
  });
  return [`${model} at ${pixels.join('×')} on ${device}`, ranges, ...best].join('\n');
}

function range(values: Float32Array): { readonly min: number; readonly max: number } {
  let min = Infinity;
  let max = -Infinity;
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return { min, max };
}

/** Indices of the largest logits, best first. */
function topClasses(logits: Float32Array): number[] {
  return Array.from(logits, (_, index) => index)
    .sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b)
    .slice(0, TOP);
}

/** How many values are NaN or infinite. */
export function countNonFinite(values: Float32Array): number {
  return values.reduce((count, value) => count + (Number.isFinite(value) ? 0 : 1), 0);
}
