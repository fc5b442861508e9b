import { WidefieldError } from './errors.ts';

/** The user's folder, under Node, for what can be made again. Throws `io` where the system knows of no home. */
export async function userCacheFolder(): Promise<string> {
  try {
    // Loaded here because it asks for the home as it loads.
    const { default: envPaths } = await import('env-paths');
    return envPaths('widefield', { suffix: '' }).cache;
  } catch (error) {
    throw new WidefieldError('io', 'The system knows of no home folder for this user: set HOME to one.', {
      cause: error,
    });
  }
}
