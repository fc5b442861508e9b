import { invalidArgument } from '../core/errors.ts';
import { checkFloats } from '../core/floats.ts';
import type { Executable } from '../devices/device.ts';
import { elements } from '../graph/graph.ts';
import { copyPixels } from './pixels.ts';
import type { PlacedTensor } from './plan.ts';

/**
 * Writes values [N, H, W, C] without gaps to where a tensor lies in the arena.
 *
 * @param what names the tensor in messages: `The input`
 * Throws `invalid-argument` if they are no Float32Array, or more or fewer.
 */
export function writeTensor(
  executable: Executable,
  tensor: PlacedTensor,
  values: Float32Array | undefined,
  what: string,
): void {
  if (values !== undefined) checkFloats(values, what, 'normalise pixels first, see applyTransform');
  const { shape } = tensor.node;
  const wanted = elements(shape);
  if (values?.length !== wanted) {
    throw invalidArgument(
      `${what} must have the ${wanted} values of [${shape.join(', ')}] (batch, height, width, channels), got ${values?.length ?? 'none'}.`,
    );
  }
  copyPixels(values, shape[3], viewOf(executable, tensor), tensor.pitch);
}

/** The values of a tensor in the arena, [N, H, W, C] without gaps: a copy. */
export function readTensor(executable: Executable, tensor: PlacedTensor): Float32Array {
  const { shape } = tensor.node;
  const out = new Float32Array(elements(shape));
  copyPixels(viewOf(executable, tensor), tensor.pitch, out, shape[3]);
  return out;
}

function viewOf(executable: Executable, { node, pitch, offset }: PlacedTensor): Float32Array {
  const [batch, height, width] = node.shape;
  return executable.view('arena').subarray(offset, offset + batch * height * width * pitch);
}
