// Says what photos show:
//   node examples/classify.js [photo…] [--model replknet-31b] [--weights FILE]
import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';

import { createModel } from 'widefield';
import { packagedModel } from 'widefield/node';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string' },
    weights: { type: 'string' },
    device: { type: 'string', default: 'auto' },
  },
});
const isPackaged = options.model === undefined;
// The network that comes with the package knows clothes; others need weights.
const own = isPackaged ? packagedModel() : { model: options.model, weights: 'synthetic' };
const weights = options.weights ?? own.weights;
const photos = positionals.length > 0 ? positionals : samples(isPackaged ? 'fashion' : 'photos');

if (weights === 'synthetic') {
  console.log('Synthetic weights have learned nothing, so the labels mean nothing: give --weights FILE.\n');
}
const model = await createModel(own.model, { weights, device: options.device });
try {
  for (const photo of photos) {
    const start = performance.now();
    const classes = await model.classify(photo, { top: 3 });
    console.log(`${photo} (${(performance.now() - start).toFixed(0)} ms, ${model.device.caps.name})`);
    for (const { label, probability } of classes) {
      console.log(`  ${(100 * probability).toFixed(1).padStart(5)} %  ${label}`);
    }
  }
} finally {
  await model.dispose();
}

function samples(folder) {
  const address = new URL(`${folder}/`, import.meta.url);
  const images = readdirSync(address).filter((name) => /\.(jpg|png)$/.test(name));
  return images.map((name) => fileURLToPath(new URL(name, address)));
}
