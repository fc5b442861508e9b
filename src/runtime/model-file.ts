import { invalidArgument } from '../core/errors.ts';
import { choice, count, either, list, needed, number, object, text } from '../core/schema.ts';
import type { Schema } from '../core/schema.ts';
import type { ModelVariant, PhotoTransform } from '../models/model.ts';
import { buildOwnModel, ownModelSchema } from '../models/own.ts';
import type { OwnModel } from '../models/own.ts';
import { findModel } from '../models/zoo.ts';

/** A name of the zoo, or the sizes of a network of one's own. */
export const modelSchema: Schema<string | OwnModel> = either(
  'the network: a name such as slak-tiny, or { "family": "slak", … } for your own sizes',
  text('a name of the zoo'),
  ownModelSchema,
);

/** The network of a name or of sizes. Throws `invalid-argument` for unknown names and sizes that do not fit. */
export function buildModelOf(model: string | OwnModel): ModelVariant {
  return typeof model === 'string' ? findModel(model) : buildOwnModel(model);
}

const rgb = (help: string, item = number('')) => list(help, item, { length: 3 });

const fileSchema = object('a network that somebody has trained', {
  model: needed(modelSchema),
  classes: needed(list('names, in order', text(''), { least: 2 })),
  resolution: needed(count('pixels of the square input', 1, 2 ** 14)),
  photos: needed(
    object('how photos are prepared', {
      resize: needed(either('', count('', 1, 2 ** 14), choice('', ['warp']))),
      interpolation: needed(choice('', ['bicubic', 'bilinear'])),
      mean: needed(rgb('of red, green and blue')),
      std: needed(rgb('', number('', { above: 0 }))),
    }),
  ),
});

/** What `model.json` holds beside a trained network's weights. */
export interface ModelFile {
  readonly model: string | OwnModel;
  readonly classes: readonly string[];
  readonly resolution: number;
  readonly photos: Omit<PhotoTransform, 'crop'>;
}

/**
 * The network that a `model.json` describes, with its labels and the way photos are prepared for it.
 *
 * Throws `invalid-argument` naming the first member that is wrong.
 */
export function modelFromFile(content: unknown): ModelVariant {
  const { model, classes, resolution, photos } = fileSchema.read(content, '');
  const variant = buildModelOf(model);
  const { mean, std, resize } = photos;
  if (resize !== 'warp' && resize < resolution) {
    throw invalidArgument(
      `photos.resize is ${resize}, but the network sees ${resolution} pixels of each side: give at least that.`,
    );
  }
  return {
    ...variant,
    resolution,
    labels: classes,
    photos: { ...photos, crop: resolution, mean: triple(mean), std: triple(std) },
    build: (options) => variant.build({ classes: classes.length, resolution, ...options }),
  };
}

function triple([red = 0, green = 0, blue = 0]: readonly number[]): readonly [number, number, number] {
  return [red, green, blue];
}
