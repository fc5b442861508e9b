import type { OpDefinition, ResizeOp } from '../op.ts';
import { onlyInput } from './shape-rules.ts';
import type { ResizeProblem } from '../../kernels/problem.ts';
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
  shape(op, inputs) {
    const [batch, , , channels] = onlyInput('resize', inputs);
    return [batch, op.height, op.width, channels];
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
};
