import type { Device, Executable } from '../../src/devices/device.ts';

/** A device, and how many programs it has compiled, and holds. */
export interface CountingDevice extends Device {
  readonly compiled: number;
  readonly alive: number;
}

/** The same device, which counts. */
export function countingDevice(device: Device): CountingDevice {
  const alive = new Set<Executable>();
  let compiled = 0;
  return {
    caps: device.caps,
    note: device.note,
    get compiled() {
      return compiled;
    },
    get alive() {
      return alive.size;
    },
    async compile(program, options) {
      const executable = await device.compile(program, options);
      compiled++;
      alive.add(executable);
      const dispose = async (): Promise<void> => {
        await executable.dispose();
        alive.delete(executable);
      };
      return {
        view: (region) => executable.view(region),
        prepare: (group) => executable.prepare(group),
        run: (runOptions) => executable.run(runOptions),
        profile: (runOptions) => executable.profile(runOptions),
        dispose,
        [Symbol.asyncDispose]: dispose,
      };
    },
    dispose: () => device.dispose(),
    [Symbol.asyncDispose]: () => device.dispose(),
  };
}
