import { invalidArgument } from '../../core/errors.ts';
import { outputMap } from '../../kernels/problem.ts';
import type { Window } from '../../kernels/problem.ts';
import type { Shape } from '../graph.ts';
import { expectCounts, inputCount } from './shape-rules.ts';

/**
 * Calls `visit(outputPixel, inputPixel, tap)` for every tap of every window that lies on the map, in order of
 * output pixel and tap. Pixels are numbered (n · H + y) · W + x, taps ky · kernelWidth + kx. This is
 * cross-correlation: input row = output row · stride + ky · dilation − padding.top.
 */
export function forEachTap(
  window: Window,
  visit: (outputPixel: number, inputPixel: number, tap: number) => void,
): void {
  const { batch, height, width, kernelHeight, kernelWidth, stride, dilation, padding } = window;
  const out = outputMap(window);
  for (let n = 0; n < batch; n++) {
    for (let oy = 0; oy < out.height; oy++) {
      for (let ox = 0; ox < out.width; ox++) {
        const outputPixel = (n * out.height + oy) * out.width + ox;
        for (let ky = 0; ky < kernelHeight; ky++) {
          const y = oy * stride + ky * dilation - padding.top;
          if (y < 0 || y >= height) continue;
          for (let kx = 0; kx < kernelWidth; kx++) {
            const x = ox * stride + kx * dilation - padding.left;
            if (x < 0 || x >= width) continue;
            visit(outputPixel, (n * height + y) * width + x, ky * kernelWidth + kx);
          }
        }
      }
    }
  }
}

/** A window's fields without the map that it slides over: what ops have. */
export type WindowShape = Omit<Window, 'batch' | 'height' | 'width'>;

/** The window of an op over a map; other fields of the op are left out. */
export function windowOf(op: WindowShape, batch: number, height: number, width: number): Window {
  const { kernelHeight, kernelWidth, stride, dilation, padding } = op;
  return { batch, height, width, kernelHeight, kernelWidth, stride, dilation, padding };
}

/** The output map of an op's window over an input. Throws `invalid-argument` for impossible sizes and if it is empty. */
export function slide(
  op: WindowShape & { readonly type: string },
  [batch, height, width]: Shape,
): ReturnType<typeof outputMap> {
  const { type, kernelHeight, kernelWidth, stride, dilation } = op;
  expectCounts(type, { kernelHeight, kernelWidth, stride, dilation });
  const out = outputMap(windowOf(op, batch, height, width));
  if (out.height < 1 || out.width < 1) {
    throw invalidArgument(
      `This ${kernelHeight}×${kernelWidth} ${type} has no output on a map of ${height}×${width} pixels: use a larger input.`,
    );
  }
  return out;
}

/** Shapes of x and dy, of which dy must be on the window's output map. */
export function gradientInputs(
  op: WindowShape & { readonly type: string },
  inputs: readonly Shape[],
): readonly [x: Shape, dy: Shape] {
  const [x, dy] = inputCount(op.type, inputs, 2);
  if (x === undefined || dy === undefined) throw invalidArgument(`A ${op.type} takes 2 inputs.`);
  const out = outputMap(windowOf(op, x[0], x[1], x[2]));
  if (dy[0] !== x[0] || dy[1] !== out.height || dy[2] !== out.width) {
    throw invalidArgument(
      `The output gradient of a ${op.type} must be [${x[0]}, ${out.height}, ${out.width}, ·], got [${dy.join(', ')}].`,
    );
  }
  return [x, dy];
}
