// Classifies a photo in this page. What was chosen last counts: it ends whatever is under way.
import { createModel, modelFromFile, modelNames } from 'widefield';
import clothesModel from 'widefield/slak-fashion/model.json';
import clothesWeights from 'widefield/slak-fashion/model.safetensors?url';

/** The network that comes with the package, and knows ten kinds of clothes. */
const CLOTHES = 'slak-fashion';

/** Addresses of the samples, by path: photos, and clothes for the network that knows those. */
const photos = import.meta.glob('../photos/*.jpg', { query: '?url', import: 'default', eager: true });
const clothes = import.meta.glob('../fashion/*.png', { query: '?url', import: 'default', eager: true });

/** The page's elements, by id. */
const page = Object.fromEntries(
  [...document.querySelectorAll('[id]')].map((element) => [element.id, element]),
);

/** The photo to classify: a file or an address. */
let photo;
/** The network in memory, and what it was made of. */
let network;
/** Ends the work under way, and tells when it has ended. */
let work = { controller: new AbortController(), ended: Promise.resolve() };

page.model.append(...[CLOTHES, ...modelNames()].map((name) => new Option(name)));
page.model.addEventListener('change', () => {
  showSamples();
  start();
});
page.weights.addEventListener('change', start);
page.photo.addEventListener('change', () => choose(page.photo.files[0]));
showSamples();
acceptDrops();

function choose(image) {
  if (image === undefined) return;
  photo = image;
  start();
}

function start() {
  if (photo === undefined) return;
  const before = work;
  before.controller.abort();
  const controller = new AbortController();
  work = { controller, ended: before.ended.then(() => classify(controller.signal)) };
}

async function classify(signal) {
  if (signal.aborted) return;
  page.error.textContent = '';
  page.result.hidden = true;
  try {
    const model = await openNetwork(page.model.value, page.weights.files[0], signal);
    page.status.textContent = 'Classifying …';
    const begin = performance.now();
    const classes = await model.classify(photo, { top: 5, signal });
    signal.throwIfAborted();
    showClasses(classes, performance.now() - begin);
  } catch (error) {
    if (!signal.aborted) page.error.textContent = error.message;
  } finally {
    page.status.textContent = '';
    page.progress.hidden = true;
  }
}

/** The network that is in memory, if it is the one wanted; else it makes room for that. */
async function openNetwork(name, weights, signal) {
  if (network?.name === name && network.weights === weights) return network.model;
  await network?.model.dispose();
  network = undefined;
  page.device.textContent = '';
  page.status.textContent = `Loading ${name} …`;
  page.progress.hidden = false;
  page.progress.removeAttribute('value');
  const isOwn = name === CLOTHES;
  const model = await createModel(isOwn ? modelFromFile(clothesModel) : name, {
    device: 'wasm',
    // A file is read layer by layer, never as a whole.
    weights: weights ?? (isOwn ? clothesWeights : 'synthetic'),
    signal,
    onProgress: ({ done, total }) => {
      page.progress.max = total;
      page.progress.value = done;
    },
  });
  network = { name, weights, model };
  page.progress.hidden = true;
  page.device.textContent = `WebAssembly: ${model.device.note}.`;
  return model;
}

function showClasses(classes, milliseconds) {
  const rows = classes.map(({ label, probability }) => {
    const percent = document.createElement('span');
    percent.textContent = `${(100 * probability).toFixed(1)} %`;
    const meter = Object.assign(document.createElement('meter'), { value: probability, ariaLabel: label });
    const row = document.createElement('li');
    row.append(label, percent, meter);
    return row;
  });
  page.classes.replaceChildren(...rows);
  page.time.textContent = `${milliseconds.toFixed(0)} ms from file to labels`;
  URL.revokeObjectURL(page.preview.src);
  page.preview.src = photo instanceof Blob ? URL.createObjectURL(photo) : photo;
  page.result.hidden = false;
}

function showSamples() {
  const samples = page.model.value === CLOTHES ? clothes : photos;
  page.samples.replaceChildren(...Object.entries(samples).map(([path, url]) => sampleButton(path, url)));
}

function sampleButton(path, url) {
  const name = path.replace(/^.*\/|\.\w+$/g, '');
  const picture = Object.assign(new Image(), { src: url, alt: `Classify the photo ${name}` });
  const button = Object.assign(document.createElement('button'), { type: 'button' });
  button.append(picture);
  button.addEventListener('click', () => choose(url));
  return button;
}

/** Files may be dropped anywhere: checkpoints become the weights, anything else the photo. */
function acceptDrops() {
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      page.drop.classList.toggle('over', type === 'dragenter' || type === 'dragover');
      if (type !== 'drop' || event.dataTransfer.files.length === 0) return;
      const { files } = event.dataTransfer;
      const isCheckpoint = /\.(pth|pt|bin|safetensors)$/i.test(files[0].name);
      (isCheckpoint ? page.weights : page.photo).files = files;
      if (isCheckpoint) start();
      else choose(files[0]);
    });
  }
}
