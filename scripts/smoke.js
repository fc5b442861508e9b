// Installs the package as a user would and uses it: the library on each device, then the command line.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs against the installed package: a depthwise convolution on each device, compared with the definition. */
const USE_LIBRARY = `
import { NO_EPILOGUE, channelPitch, createOp, openDevice, samePadding } from 'widefield';

const [height, width, channels, k] = [9, 7, 20, 5];
const weight = Float32Array.from({ length: channels * k * k }, (_, i) => Math.sin(i));
const pixel = (y, x, c) => (y < 0 || x < 0 || y >= height || x >= width ? 0 : Math.fround(Math.cos((y * width + x) * channels + c)));

let checked = 0;
for (const name of ['native', 'wasm']) {
  let device;
  try {
    device = await openDevice(name, { threads: 2 });
  } catch (error) {
    if (error.code !== 'unsupported') throw error;
    console.log(name + ' is not available here: ' + error.message);
    continue;
  }
  const pitch = channelPitch(channels, device.caps.lanes[0]);
  const problem = {
    op: 'depthwise', batch: 1, height, width, channels, pitch, kernelHeight: k, kernelWidth: k,
    stride: 1, dilation: 1, padding: samePadding(k, k), epilogue: NO_EPILOGUE,
  };
  const op = await createOp(device, problem, { weight });
  const input = op.input();
  for (let p = 0; p < height * width; p++)
    for (let c = 0; c < channels; c++) input[p * pitch + c] = pixel(Math.floor(p / width), p % width, c);
  op.output.fill(NaN);
  await op.run();
  let worst = 0;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let i = 0; i < k; i++)
          for (let j = 0; j < k; j++) sum += pixel(y + i - 2, x + j - 2, c) * weight[(c * k + i) * k + j];
        const error = Math.abs(op.output[(y * width + x) * pitch + c] - sum);
        worst = error <= worst ? worst : error;
      }
  if (!(worst < 1e-4)) throw new Error(name + ' is off by ' + worst);
  console.log(name + ' is right within ' + worst.toExponential(1));
  await op.dispose();
  await device.dispose();
  checked++;
}
if (checked === 0) throw new Error('no device works');
`;

const folder = mkdtempSync(path.join(tmpdir(), 'widefield-smoke-'));
try {
  const [{ filename }] = JSON.parse(
    npm(root, 'pack', '--ignore-scripts', '--json', '--pack-destination', folder),
  );
  writeFileSync(path.join(folder, 'package.json'), '{"name":"smoke","private":true,"type":"module"}\n');
  npm(folder, 'install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', `./${filename}`);

  const entry = path.join(folder, 'node_modules/widefield/dist/index.js');
  for (const [file, module] of staticImports(entry)) {
    if (!module.startsWith('.'))
      throw new Error(`Browsers cannot load ${file}: it imports ${module} statically.`);
  }
  writeFileSync(path.join(folder, 'use.js'), USE_LIBRARY);
  process.stdout.write(quiet(process.execPath, ['use.js']));

  const command = path.join(folder, 'node_modules/widefield/bin/widefield.js');
  const facts = JSON.parse(quiet(process.execPath, [command, 'doctor', '--json']));
  if (facts.auto.device === undefined) throw new Error('doctor finds no device');
  process.stdout.write(`doctor takes ${facts.auto.device}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function npm(cwd, ...args) {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', shell: process.platform === 'win32' });
}

/** Standard output of a command that must succeed and say nothing on standard error. */
function quiet(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0 || stderr !== '')
    throw new Error(`${args.join(' ')}: exit code ${status}, stderr: ${stderr}`);
  return stdout;
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
