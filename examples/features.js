// Computes the four feature maps of a photo, as detectors and segmenters use them:
//   node examples/features.js [photo] [--model slak-tiny] [--weights FILE] [--output FOLDER]
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

import { createModel } from 'widefield';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'slak-tiny' },
    weights: { type: 'string', default: 'synthetic' },
    device: { type: 'string', default: 'auto' },
    output: { type: 'string' },
  },
});
const [photo = fileURLToPath(new URL('photos/chelsea.jpg', import.meta.url))] = positionals;

const { weights, device } = options;
const model = await createModel(options.model, { weights, device, features: true });
try {
  const maps = await model.features(await model.prepareImage(photo));
  for (const [i, { shape, values }] of maps.entries()) {
    const name = `stage${i + 1}`;
    const stride = model.inputShape[1] / shape[1];
    const rms = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
    console.log(`${name}  [${shape.join(', ')}]  stride ${stride}  root mean square ${rms.toPrecision(3)}`);
    if (options.output === undefined) continue;
    await mkdir(options.output, { recursive: true });
    await writeFile(path.join(options.output, `${name}.npy`), npy(shape, values));
  }
} finally {
  await model.dispose();
}

/** A file for `numpy.load`: a magic number, the length of a header, the header, the values. */
function npy(shape, values) {
  const description = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  const length = Math.ceil((10 + description.length + 1) / 64) * 64 - 10;
  const start = Buffer.from('\x93NUMPY\x01\x00..', 'latin1');
  start.writeUInt16LE(length, 8);
  const header = Buffer.from(description.padEnd(length - 1) + '\n', 'latin1');
  return Buffer.concat([start, header, Buffer.from(values.buffer, values.byteOffset, values.byteLength)]);
}
