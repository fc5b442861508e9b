import type { ByteSink } from '../../checkpoints/byte-sink.ts';
import { writeSafetensors } from '../../checkpoints/safetensors-writer.ts';
import type { WriteOptions } from '../../checkpoints/safetensors-writer.ts';
import type { MaskedSession } from './controller.ts';
import { maskedParameters } from './scope.ts';
import type { SparsityScope } from './scope.ts';

/**
 * Writes the masks as a safetensors file: for each masked weight a `bool` tensor of its key and PyTorch's shape, true
 * where the weight takes part. Throws what the sink throws, and leaves nothing behind then.
 */
export async function exportMasks(
  session: MaskedSession,
  sink: ByteSink,
  { scope = 'all', ...options }: { readonly scope?: SparsityScope } & Omit<WriteOptions, 'dtype'> = {},
): Promise<void> {
  const masks = session.state('mask') ?? new Float32Array(session.layout.floats).fill(1);
  const layers = maskedParameters(session.layout, scope);
  const places = new Map(layers.map(({ parameter, offset, length }) => [parameter.key, { offset, length }]));
  await writeSafetensors(
    layers.map(({ parameter: { key, shape } }) => ({ key, shape })),
    (key) => {
      const { offset, length } = places.get(key) ?? { offset: 0, length: 0 };
      return Promise.resolve(masks.subarray(offset, offset + length));
    },
    sink,
    { ...options, dtype: 'bool' },
  );
}
