// Installs the package as a user would and uses it: types, the library, the examples, a page, the command line.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { checkEntries } from './smoke/entries.js';
import { openPage } from './smoke/in-browser.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Compiles only if the declarations of the package do. */
const USE_TYPES = `
import { buildModel, createModel } from 'widefield';
import type { Classification, Device, FeatureMap, Model } from 'widefield';
import { findDevice, kernelCosts, waterline } from 'widefield/lab';
import type { Waterline } from 'widefield/lab';
import { plotWaterlines } from 'widefield/lab/node';
import { defaultTuningFile } from 'widefield/node';

export async function use(photo: Blob, signal: AbortSignal): Promise<Classification[]> {
  const model: Model = await createModel('slak-tiny', { weights: 'synthetic', features: true, signal });
  const maps: FeatureMap[] = await model.features(await model.prepareImage(photo));
  const [height]: readonly number[] = maps[0]?.shape ?? [];
  // @ts-expect-error: top is a number
  await model.classify(photo, { top: 'three' });
  return model.classify(photo, { top: (height ?? 0) + (await defaultTuningFile()).length, signal });
}

export async function end(device: Device): Promise<void> {
  await device[Symbol.asyncDispose]();
}

export function draw(name: string): string {
  const line: Waterline = waterline(kernelCosts(buildModel(name, { batch: 128 })), findDevice('a5000'), 'f16');
  return plotWaterlines([{ title: name, line }], { title: 'Waterline' });
}
`;

/** Pixels that only browsers have. */
const USE_PIXELS = `
import { decodeImage } from 'widefield';

export async function sizes(pixels: ImageData, bitmap: ImageBitmap): Promise<number> {
  // @ts-expect-error: no image
  await decodeImage(pixels.colorSpace === 'srgb');
  return (await decodeImage(pixels)).width + (await decodeImage(bitmap)).width;
}
`;

const folder = mkdtempSync(path.join(tmpdir(), 'widefield-smoke-'));
const installed = path.join(folder, 'node_modules/widefield');
const example = (name) => path.join(installed, 'examples', name);
const photo = example('photos/chelsea.jpg');
try {
  install();
  checkStaticImports();
  checkTypes();
  report(await checkEntries(installed));
  for (const script of ['use-op.js', 'use-model.js', 'use-lab.js']) {
    copyFileSync(path.join(root, 'scripts/smoke', script), path.join(folder, script));
    report(node(script, photo));
  }
  useExamples();
  await useServer();
  report(`page: ${await openPage(example('browser'), path.join(folder, 'page'))}`);
  useCommandLine();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function install() {
  const [{ filename }] = JSON.parse(
    npm(root, 'pack', '--ignore-scripts', '--json', '--pack-destination', folder),
  );
  writeFileSync(path.join(folder, 'package.json'), '{"name":"smoke","private":true,"type":"module"}\n');
  npm(folder, 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', `./${filename}`);
}

function checkStaticImports() {
  for (const entry of ['dist/index.js', 'dist/lab/index.js']) {
    for (const [file, module] of staticImports(path.join(installed, entry))) {
      if (!module.startsWith('.'))
        throw new Error(`Browsers cannot load ${file}: it imports ${module} statically.`);
    }
  }
}

function checkTypes() {
  writeFileSync(path.join(folder, 'use-types.ts'), USE_TYPES);
  writeFileSync(path.join(folder, 'use-pixels.ts'), USE_PIXELS);
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
  const types = path.join(root, 'node_modules/@types');
  const options = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2022'];
  const inNode = ['--module', 'nodenext', '--lib', 'es2022', '--typeRoots', types, '--types', 'node'];
  node(compiler, ...options, ...inNode, 'use-types.ts');
  const inBrowsers = ['--module', 'esnext', '--moduleResolution', 'bundler', '--lib', 'es2022,dom'];
  const noTypes = ['--typeRoots', path.join(folder, 'no-types')];
  node(compiler, ...options, ...inBrowsers, ...noTypes, 'use-types.ts', 'use-pixels.ts');
  report('the declarations compile for Node without browsers and for browsers without Node');
}

function useExamples() {
  const model = ['--model', 'mobilenet-v2'];
  expectMatch(node(example('classify.js'), photo, ...model), /chelsea\.jpg \(\d+ ms, \w+\)\n +\d+\.\d %/);
  const features = path.join(folder, 'features');
  expectMatch(
    node(example('features.js'), photo, ...model, '--output', features),
    /stage4 {2}\[1, 7, 7, \d+\] {2}stride 32/,
  );
  expectMatch(readFileSync(path.join(features, 'stage4.npy'), 'latin1').slice(0, 128), /NUMPY.*\(1, 7, 7,/);
  report('the examples classify.js and features.js work');
}

async function useServer() {
  const options = { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] };
  const server = spawn(
    process.execPath,
    [example('server.js'), '--model', 'mobilenet-v2', '--port', '0'],
    options,
  );
  let stderr = '';
  server.stderr.on('data', (text) => (stderr += text));
  const ended = new Promise((resolve) => server.on('exit', (code, signal) => resolve(code ?? signal)));
  try {
    const address = await new Promise((resolve, reject) => {
      server.stdout.on('data', (text) => resolve(/http:\S+/.exec(text)?.[0]));
      void ended.then(() => reject(new Error(`server.js ended: ${stderr}`)));
    });
    const response = await fetch(`${address}?top=3`, { method: 'POST', body: readFileSync(photo) });
    const { classes } = await response.json();
    if (response.status !== 200 || classes.length !== 3)
      throw new Error(`server.js answers ${response.status}`);
  } finally {
    server.kill('SIGTERM');
  }
  const code = await ended;
  // Windows ends processes without asking them.
  if ((code !== 0 && process.platform !== 'win32') || stderr !== '')
    throw new Error(`server.js: exit code ${code}, stderr: ${stderr}`);
  report('the example server.js answers, and ends when told to');
}

function useCommandLine() {
  const command = path.join(installed, 'bin/widefield.js');
  expectMatch(node(command, '--help'), /Usage: widefield/);
  const { params } = JSON.parse(node(command, 'describe', 'mobilenet-v2', '--json'));
  if (params !== 3504872) throw new Error(`MobileNetV2 has 3504872 parameters, not ${params}`);
  const trouser = example('fashion/trouser-2.png');
  const [own] = JSON.parse(node(command, 'classify', trouser, '--json')).results;
  if (own.predictions[0].label !== 'Trouser') throw new Error('the packaged network does not know trousers');
  const network = ['--model', 'mobilenet-v2', '--weights', 'synthetic', '--json'];
  const classified = run(command, 'classify', photo, ...network);
  expectMatch(classified.stderr, /^Synthetic weights have learned nothing[^\n]*\n$/);
  const { results, device } = JSON.parse(classified.stdout);
  if (results[0].predictions.length !== 5) throw new Error('classify does not give five classes');
  report(`the command line classifies on ${device}`);
  const facts = JSON.parse(node(command, 'doctor', '--json'));
  if (facts.auto.device === undefined) throw new Error('doctor finds no device');
  report(`doctor takes ${facts.auto.device}`);
}

function npm(cwd, ...args) {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', shell: process.platform === 'win32' });
}

/** Standard output of a script that must succeed and say nothing on standard error. */
function node(...args) {
  const { stdout, stderr } = run(...args);
  if (stderr !== '') throw new Error(`${args.join(' ')} says ${stderr}`);
  return stdout;
}

/** What a script that must succeed says. */
function run(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${args.join(' ')}: exit code ${status}, says ${stdout}${stderr}`);
  return { stdout, stderr };
}

function expectMatch(text, pattern) {
  if (!pattern.test(text)) throw new Error(`${text} is not like ${pattern}`);
}

function report(text) {
  process.stdout.write(`${text.trimEnd()}\n`);
}

/** All [file, module] pairs that loading a file brings about before any of its code runs. */
function staticImports(file, seen = new Set()) {
  if (seen.has(file)) return [];
  seen.add(file);
  const pattern = /^(?:import|export)\b[^;]*?(?:from\s*)?["']([^"']+)["'];/gm;
  return [...readFileSync(file, 'utf8').matchAll(pattern)].flatMap(([, module]) => [
    [file, module],
    ...(module.startsWith('.') ? staticImports(path.resolve(path.dirname(file), module), seen) : []),
  ]);
}
