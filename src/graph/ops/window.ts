import { outputMap } from '../../kernels/problem.ts';
import type { Window } from '../../kernels/problem.ts';

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
