import type { ResizeProblem } from '../../kernels/problem.ts';
import type { ResizeGradientProblem } from '../../kernels/training/problems.ts';
import type { OpDefinition, ResizeOp } from '../op.ts';
import type { ResizeGradientOp } from '../training-ops.ts';
import { expectCounts, onlyInput } from './shape-rules.ts';
import { at, tensorNamed } from '../tensors.ts';
import type { Tensors } from '../tensors.ts';

/** Bilinear interpolation between the four pixels around each output pixel's centre (PyTorch's `interpolate`, no antialias). */
export function resize(problem: ResizeProblem, inputs: Tensors): Float64Array {
  const { batch, height, width, outHeight, outWidth, channels, pitch, alignCorners } = problem;
  const x = tensorNamed(inputs, 'x');
  const y = new Float64Array(batch * outHeight * outWidth * pitch);
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < outHeight; oy++) {
      const rows = between(oy, height, outHeight, alignCorners);
      for (let ox = 0; ox < outWidth; ox++) {
        const columns = between(ox, width, outWidth, alignCorners);
        for (let c = 0; c < channels; c++) {
          const pixel = (row: number, column: number): number =>
            at(x, ((n * height + row) * width + column) * pitch + c);
          const top = mix(pixel(rows.low, columns.low), pixel(rows.low, columns.high), columns.fraction);
          const bottom = mix(pixel(rows.high, columns.low), pixel(rows.high, columns.high), columns.fraction);
          y[((n * outHeight + oy) * outWidth + ox) * pitch + c] = mix(top, bottom, rows.fraction);
        }
      }
    }
  }
  return y;
}

/**
 * The source positions on both sides of output position `i`. Its source coordinate is i · (size − 1)/(outSize − 1)
 * with aligned corners, else (i + ½) · size/outSize − ½, not below 0.
 */
function between(i: number, size: number, outSize: number, alignCorners: boolean) {
  const aligned = outSize > 1 ? (i * (size - 1)) / (outSize - 1) : 0;
  const position = alignCorners ? aligned : Math.max(((i + 0.5) * size) / outSize - 0.5, 0);
  const low = Math.floor(position);
  return { low, high: Math.min(low + 1, size - 1), fraction: position - low };
}

function mix(a: number, b: number, fraction: number): number {
  return a * (1 - fraction) + b * fraction;
}

export const resizeDefinition: OpDefinition<ResizeOp> = {
  shape({ height, width }, inputs) {
    const [batch, , , channels] = onlyInput('resize', inputs);
    expectCounts('resize', { height, width });
    return [batch, height, width, channels];
  },
  lower({ alignCorners }, { inputs: [input], output, pitch }) {
    const [batch, height, width, channels] = input ?? output;
    return {
      problem: {
        op: 'resize',
        batch,
        height,
        width,
        outHeight: output[1],
        outWidth: output[2],
        channels,
        pitch: pitch(channels),
        alignCorners,
      },
      inputs: ['x'],
    };
  },
  gradient(node, dy, g) {
    const [, height, width] = node.inputs[0]?.shape ?? node.shape;
    const { alignCorners } = node.op;
    const op: ResizeGradientOp = { type: 'resize-gradient', height, width, alignCorners };
    return { inputs: [g.make(op, [dy])], parameters: {} };
  },
};

/** Each output's gradient goes to the four pixels that it was mixed of, by the same factors. */
export function resizeGradient(problem: ResizeGradientProblem, inputs: Tensors): Float64Array {
  const { batch, height, width, outHeight, outWidth, channels, pitch, alignCorners } = problem;
  const dy = tensorNamed(inputs, 'dy');
  const dx = new Float64Array(batch * height * width * pitch);
  for (let pixel = 0; pixel < batch * outHeight * outWidth; pixel++) {
    const n = Math.floor(pixel / (outHeight * outWidth));
    const rows = between(Math.floor(pixel / outWidth) % outHeight, height, outHeight, alignCorners);
    const columns = between(pixel % outWidth, width, outWidth, alignCorners);
    for (const [row, rowFactor] of [
      [rows.low, 1 - rows.fraction],
      [rows.high, rows.fraction],
    ] as const) {
      for (const [column, columnFactor] of [
        [columns.low, 1 - columns.fraction],
        [columns.high, columns.fraction],
      ] as const) {
        const target = ((n * height + row) * width + column) * pitch;
        for (let c = 0; c < channels; c++) {
          dx[target + c] = at(dx, target + c) + rowFactor * columnFactor * at(dy, pixel * pitch + c);
        }
      }
    }
  }
  return dx;
}

export const resizeGradientDefinition: OpDefinition<ResizeGradientOp> = {
  shape({ type, height, width }, inputs) {
    const [batch, , , channels] = onlyInput(type, inputs);
    return [batch, height, width, channels];
  },
  lower({ type, alignCorners }, { inputs: [dy], output, pitch }) {
    const [batch, height, width, channels] = output;
    const [, outHeight, outWidth] = dy ?? output;
    return {
      problem: {
        op: type,
        batch,
        height,
        width,
        outHeight,
        outWidth,
        channels,
        pitch: pitch(channels),
        alignCorners,
      },
      inputs: ['dy'],
    };
  },
};
