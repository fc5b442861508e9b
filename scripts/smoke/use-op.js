// A depthwise convolution on each device, compared with the definition.
import { NO_EPILOGUE, channelPitch, createOp, openDevice, samePadding } from 'widefield';

const [height, width, channels, k] = [9, 7, 20, 5];
const weight = Float32Array.from({ length: channels * k * k }, (_, i) => Math.sin(i));
const pixel = (y, x, c) =>
  y < 0 || x < 0 || y >= height || x >= width ? 0 : Math.fround(Math.cos((y * width + x) * channels + c));

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
    op: 'depthwise',
    batch: 1,
    height,
    width,
    channels,
    pitch,
    kernelHeight: k,
    kernelWidth: k,
    stride: 1,
    dilation: 1,
    padding: samePadding(k, k),
    epilogue: NO_EPILOGUE,
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
