import { KernelBuilder } from '../../codegen/builder.ts';
import type { Buffer, Kernel, Value } from '../../codegen/ir.ts';
import { kernelName } from '../family.ts';
import type { Emission } from '../family.ts';
import { newTile } from '../gemm/tile.ts';
import type { Tile } from '../gemm/tile.ts';
import type { ConvWeightGradientProblem } from './problems.ts';
import { planOuter } from './outer-plan.ts';
import type { OuterConfig, OuterPlan } from './outer-plan.ts';
import { emitPartialSums } from './partial-sums.ts';
import { largestDivisor } from '../divide.ts';

/** Steps of the innermost loop's body, at most. */
const MAX_UNROLL = 8;

/**
 * Gradient of a convolution to its weight, a sum of outer products: for each pixel, the vector of dy times the pixels of
 * x that its window sees. A task copies a band of dy and the pixels of x under it, with zeros around the map, to
 * scratch memory, where every tap is a constant distance away; then each register tile of outputs × vectors of
 * (tap, input) runs over the pixels of the band.
 */
export function emitOuterProducts(problem: ConvWeightGradientProblem, config: OuterConfig): Emission {
  const plan = planOuter(problem, config);
  const { splits, lanes } = config;
  const main = [new OuterEmitter(problem, config, plan).emit()];
  if (splits > 1) main.push(emitPartialSums(splits, problem.gradientPitch, lanes));
  return {
    main,
    prepare: [],
    packedFloats: 0,
    tempFloats: splits > 1 ? splits * problem.gradientPitch : 0,
  };
}

class OuterEmitter {
  readonly #problem: ConvWeightGradientProblem;
  readonly #config: OuterConfig;
  readonly #plan: OuterPlan;
  readonly #b: KernelBuilder;
  readonly #x: Buffer;
  readonly #dy: Buffer;
  readonly #target: Buffer;
  readonly #band: Buffer;
  readonly #gradients: Buffer;
  readonly #sums: Buffer;
  /** What the task computes. */
  readonly #inputBlock: Value;
  readonly #outputBlock: Value;
  readonly #group: Value;
  readonly #split: Value;

  constructor(problem: ConvWeightGradientProblem, config: OuterConfig, plan: OuterPlan) {
    this.#problem = problem;
    this.#config = config;
    this.#plan = plan;
    const { kernelHeight, kernelWidth, stride, inputs, outputs, groups } = problem;
    const b = new KernelBuilder({
      name: kernelName(
        'outer_products',
        `${problem.height}x${problem.width}x${inputs}_${outputs}`,
        `k${kernelHeight}x${kernelWidth}s${stride}`,
        ...(groups > 1 ? [`g${groups}`] : []),
        `t${config.tileOutputs}x${config.tileVectors}`,
        `l${config.lanes}`,
      ),
      description:
        `weight gradient of conv ${kernelHeight}×${kernelWidth}/${stride} ${inputs} → ${outputs}, ${groups} groups, ` +
        `register tiles of ${config.tileOutputs} outputs × ${config.tileVectors} vectors, ${config.splits} parts`,
      lanes: config.lanes,
      tasks: plan.tasks,
    });
    this.#b = b;
    this.#x = b.input('x');
    this.#dy = b.input('dy');
    this.#target = b.output(config.splits > 1 ? 'temp' : 'y');
    this.#band = b.scratch('band', plan.bandFloats);
    this.#gradients = b.scratch('gradients', config.bandRows * config.bandColumns * plan.gradientPitch);
    this.#sums = b.scratch('sums', config.blockOutputs * plan.sumPitch);
    this.#inputBlock = b.rem(b.task, plan.inputBlocks);
    let rest = b.div(b.task, plan.inputBlocks);
    this.#outputBlock = b.rem(rest, plan.outputBlocks);
    rest = b.div(rest, plan.outputBlocks);
    this.#group = b.rem(rest, groups);
    this.#split = b.div(rest, groups);
  }

  emit(): Kernel {
    const b = this.#b;
    const { splits, blockOutputs, bandRows, bandColumns } = this.#config;
    const { bands, columnBands, rowBands, sumPitch, outHeight, outWidth } = this.#plan;
    b.for(0, blockOutputs * sumPitch, b.lanes, (i) => b.store(this.#sums, i, b.vec(0)));
    const perSplit = Math.ceil(bands / splits);
    const first = b.mul(this.#split, perSplit);
    b.for(first, b.min(b.add(first, perSplit), bands), 1, (band) => {
      const column = b.mul(b.rem(band, columnBands), bandColumns);
      const rest = b.div(band, columnBands);
      const row = b.mul(b.rem(rest, rowBands), bandRows);
      const image = b.div(rest, rowBands);
      const rows = outHeight % bandRows === 0 ? b.i32(bandRows) : b.min(b.sub(outHeight, row), bandRows);
      const columns =
        outWidth % bandColumns === 0 ? b.i32(bandColumns) : b.min(b.sub(outWidth, column), bandColumns);
      this.#copyGradients(image, row, column, rows, columns);
      this.#copyPixels(image, row, column, rows, columns);
      this.#addProducts(rows, columns);
    });
    this.#storeSums();
    return b.build();
  }

  /** Calls `body` with the channels of the task's block, a constant: the last block may have fewer. */
  #withBlock(index: Value, blocks: number, size: number, total: number, body: (count: number) => void): void {
    const b = this.#b;
    const last = total - (blocks - 1) * size;
    if (last === size || blocks === 1) body(last);
    else
      b.if(
        b.eq(index, blocks - 1),
        () => body(last),
        () => body(size),
      );
  }

  #withOutputs(body: (count: number) => void): void {
    const { outputBlocks, outputs } = this.#plan;
    this.#withBlock(this.#outputBlock, outputBlocks, this.#config.blockOutputs, outputs, body);
  }

  #withInputs(body: (count: number) => void): void {
    const { inputBlocks, inputs } = this.#plan;
    this.#withBlock(this.#inputBlock, inputBlocks, this.#config.blockInputs, inputs, body);
  }

  #firstOutput(): Value {
    const b = this.#b;
    return b.add(b.mul(this.#group, this.#plan.outputs), b.mul(this.#outputBlock, this.#config.blockOutputs));
  }

  #firstInput(): Value {
    return this.#b.mul(this.#inputBlock, this.#config.blockInputs);
  }

  /** dy of a band, pixel after pixel. */
  #copyGradients(image: Value, row: Value, column: Value, rows: Value, columns: Value): void {
    const b = this.#b;
    const { outputPitch } = this.#problem;
    const { outHeight, outWidth, gradientPitch } = this.#plan;
    this.#withOutputs((count) => {
      b.for(0, rows, 1, (r) => {
        const line = b.add(b.mul(b.add(b.mul(image, outHeight), b.add(row, r)), outWidth), column);
        const from = b.add(b.mul(line, outputPitch), this.#firstOutput());
        const to = b.mul(r, this.#config.bandColumns * gradientPitch);
        b.for(0, columns, 1, (c) => {
          const source = b.add(from, b.mul(c, outputPitch));
          copyFloats(b, this.#dy, source, this.#gradients, b.add(to, b.mul(c, gradientPitch)), count);
        });
      });
    });
  }

  /** The pixels that the windows of a band see, zeros where the map ends. */
  #copyPixels(image: Value, row: Value, column: Value, rows: Value, columns: Value): void {
    const b = this.#b;
    const { height, width, inputPitch, stride, dilation, padding, kernelHeight, kernelWidth } = this.#problem;
    const { pixelPitch, bandWidth, inputs } = this.#plan;
    const span = (outputs: Value, kernel: number): Value =>
      b.add(b.mul(b.sub(outputs, 1), stride), dilation * (kernel - 1) + 1);
    const firstRow = b.sub(b.mul(row, stride), padding.top);
    const firstColumn = b.sub(b.mul(column, stride), padding.left);
    const wide = span(columns, kernelWidth);
    // Columns [low, high) of the band lie on the map.
    const low = b.min(b.max(b.sub(0, firstColumn), 0), wide);
    const high = b.max(b.min(b.sub(width, firstColumn), wide), low);
    const channel = b.add(b.mul(this.#group, inputs), this.#firstInput());
    this.#withInputs((count) => {
      b.for(0, span(rows, kernelHeight), 1, (r) => {
        const to = b.mul(r, bandWidth * pixelPitch);
        const clear = (from: Value, end: Value): void =>
          b.for(from, end, 1, (c) => clearFloats(b, this.#band, b.add(to, b.mul(c, pixelPitch)), count));
        const y = b.add(firstRow, r);
        b.if(
          b.and(b.le(0, y), b.lt(y, height)),
          () => {
            clear(b.i32(0), low);
            const pixel = b.add(b.mul(b.add(b.mul(image, height), y), width), firstColumn);
            const from = b.add(b.mul(pixel, inputPitch), channel);
            b.for(low, high, 1, (c) => {
              const source = b.add(from, b.mul(c, inputPitch));
              copyFloats(b, this.#x, source, this.#band, b.add(to, b.mul(c, pixelPitch)), count);
            });
            clear(high, wide);
          },
          () => clear(b.i32(0), wide),
        );
      });
    });
  }

  /** Adds the band's products to `sums`. */
  #addProducts(rows: Value, columns: Value): void {
    const b = this.#b;
    const { dilation } = this.#problem;
    const { tileOutputs, tileVectors, lanes, blockOutputs } = this.#config;
    const { runs, rowRuns, runVectors, runPitch, bandWidth, pixelPitch, outputs, outputBlocks } = this.#plan;
    const lastOutputs = outputs % tileOutputs;
    const left = b.sub(outputs, b.mul(this.#outputBlock, blockOutputs));
    const fullTiles = b.div(b.min(left, blockOutputs), tileOutputs);
    const emitVectors = (run: Value, vector: Value, vectors: number): void => {
      const tap = b.add(
        b.mul(b.div(run, rowRuns), dilation * bandWidth),
        b.mul(b.rem(run, rowRuns), dilation),
      );
      const source = b.add(b.mul(tap, pixelPitch), b.mul(vector, lanes));
      const column = b.add(b.mul(run, runPitch), b.mul(vector, lanes));
      b.for(0, fullTiles, 1, (tile) =>
        this.#emitTile(b.mul(tile, tileOutputs), tileOutputs, source, column, vectors, rows, columns),
      );
      if (lastOutputs > 0) {
        b.if(b.eq(this.#outputBlock, outputBlocks - 1), () =>
          this.#emitTile(b.mul(fullTiles, tileOutputs), lastOutputs, source, column, vectors, rows, columns),
        );
      }
    };
    const lastVectors = runVectors % tileVectors;
    b.for(0, runs, 1, (run) => {
      b.for(0, runVectors - lastVectors, tileVectors, (vector) => emitVectors(run, vector, tileVectors));
      if (lastVectors > 0) emitVectors(run, b.i32(runVectors - lastVectors), lastVectors);
    });
  }

  /** One register tile over all pixels of the band. */
  #emitTile(
    output: Value,
    outputs: number,
    source: Value,
    column: Value,
    vectors: number,
    rows: Value,
    columns: Value,
  ): void {
    const b = this.#b;
    const { bandRows, bandColumns } = this.#config;
    const { stride } = this.#problem;
    const { sumPitch, gradientPitch, bandWidth, pixelPitch, outWidth } = this.#plan;
    const at = b.add(b.mul(output, sumPitch), column);
    const offset = (o: number, v: number): number => o * sumPitch + v * b.lanes;
    const tile = newTile(b, outputs, vectors, (o, v) => b.loadVec(this.#sums, at, offset(o, v)));
    const unroll =
      outWidth % bandColumns === 0 ? largestDivisor(bandColumns, MAX_UNROLL) : Math.min(4, bandColumns);
    const body = (row: Value): void => {
      const from = b.add(source, b.mul(row, stride * bandWidth * pixelPitch));
      const gradient = b.add(output, b.mul(row, bandColumns * gradientPitch));
      const steps = (c: Value, count: number): void => {
        const x = b.add(from, b.mul(c, stride * pixelPitch));
        const dy = b.add(gradient, b.mul(c, gradientPitch));
        for (let i = 0; i < count; i++) this.#addPixel(tile, x, dy, i);
      };
      if (outWidth % bandColumns === 0) {
        b.for(0, bandColumns, unroll, (c) => steps(c, unroll));
      } else {
        const whole = b.mul(b.div(columns, unroll), unroll);
        b.for(0, whole, unroll, (c) => steps(c, unroll));
        b.for(whole, columns, 1, (c) => steps(c, 1));
      }
    };
    if (bandRows === 1) body(b.i32(0));
    else b.for(0, rows, 1, body);
    tile.forEach((row, o) => row.forEach((sum, v) => b.store(this.#sums, at, sum.get(), offset(o, v))));
  }

  #addPixel(tile: Tile, x: Value, dy: Value, ahead: number): void {
    const b = this.#b;
    const { gradientPitch, pixelPitch } = this.#plan;
    const vectors = (tile[0] ?? []).map((_, v) =>
      b.loadVec(this.#band, x, ahead * this.#problem.stride * pixelPitch + v * b.lanes),
    );
    const gradient = b.add(dy, ahead * gradientPitch);
    tile.forEach((row, o) => {
      const factor = b.loadBroadcast(this.#gradients, gradient, o);
      row.forEach((sum, v) => {
        const vector = vectors[v];
        if (vector) sum.set(b.fma(factor, vector, sum.get()));
      });
    });
  }

  /** `sums` in PyTorch's order, and zeros behind the last block. */
  #storeSums(): void {
    const b = this.#b;
    const { kernelHeight, kernelWidth, gradientPitch, groups } = this.#problem;
    const { inputs, outputs, outputBlocks, inputBlocks, runPitch, rowRuns, sumPitch } = this.#plan;
    const { blockInputs, blockOutputs, splits } = this.#config;
    const taps = kernelHeight * kernelWidth;
    const part = splits > 1 ? b.mul(this.#split, gradientPitch) : b.i32(0);
    const left = b.sub(outputs, b.mul(this.#outputBlock, blockOutputs));
    this.#withInputs((count) => {
      b.for(0, b.min(left, blockOutputs), 1, (o) => {
        const row = b.add(b.mul(b.add(this.#firstOutput(), o), inputs), this.#firstInput());
        const to = b.add(part, b.mul(row, taps));
        const from = b.mul(o, sumPitch);
        if (taps === 1) {
          copyFloats(b, this.#sums, from, this.#target, to, count);
          return;
        }
        b.for(0, count, 1, (i) => {
          for (let tap = 0; tap < taps; tap++) {
            const [ky, kx] = [Math.floor(tap / kernelWidth), tap % kernelWidth];
            const place = rowRuns === 1 ? ky * runPitch + kx * blockInputs : tap * runPitch;
            const sum = b.loadScalar(this.#sums, b.add(from, i), place);
            b.store(this.#target, b.add(to, b.mul(i, taps)), sum, tap);
          }
        });
      });
    });
    const floats = problemFloats(this.#problem);
    if (gradientPitch > floats) {
      const lastBlock = b.sub(b.mul(b.i32(outputBlocks), inputBlocks), 1);
      const block = b.add(b.mul(this.#outputBlock, inputBlocks), this.#inputBlock);
      b.if(b.and(b.eq(block, lastBlock), b.eq(this.#group, groups - 1)), () =>
        b.for(floats, gradientPitch, 1, (i) => b.store(this.#target, b.add(part, i), b.f32(0))),
      );
    }
  }
}

function problemFloats(problem: ConvWeightGradientProblem): number {
  const { inputs, outputs, groups, kernelHeight, kernelWidth } = problem;
  return outputs * (inputs / groups) * kernelHeight * kernelWidth;
}

/** Vectors of a copy that are straight-line code. */
const MAX_UNROLLED_COPY = 8;

/** Copies `count` floats: vectors, then what is left one by one. */
function copyFloats(
  b: KernelBuilder,
  source: Buffer,
  from: Value,
  target: Buffer,
  to: Value,
  count: number,
): void {
  forFloats(
    b,
    count,
    (i, offset) => b.store(target, b.add(to, i), b.loadVec(source, b.add(from, i), offset), offset),
    (offset) => b.store(target, to, b.loadScalar(source, from, offset), offset),
  );
}

function clearFloats(b: KernelBuilder, target: Buffer, to: Value, count: number): void {
  forFloats(
    b,
    count,
    (i, offset) => b.store(target, b.add(to, i), b.vec(0), offset),
    (offset) => b.store(target, to, b.f32(0), offset),
  );
}

function forFloats(
  b: KernelBuilder,
  count: number,
  vector: (i: Value, offset: number) => void,
  scalar: (offset: number) => void,
): void {
  const whole = Math.floor(count / b.lanes) * b.lanes;
  const unroll = largestDivisor(whole / b.lanes, MAX_UNROLLED_COPY) * b.lanes;
  b.for(0, whole, unroll, (i) => {
    for (let offset = 0; offset < unroll; offset += b.lanes) vector(i, offset);
  });
  for (let offset = whole; offset < count; offset++) scalar(offset);
}
