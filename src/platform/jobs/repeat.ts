/**
 * Runs `work` repeatedly, each time `interval` ms after it last ended, until the returned function is called. It does
 * not keep the process running.
 */
export function repeat(
  interval: number,
  work: () => Promise<unknown>,
  onError: (error: unknown) => void,
): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout;
  const schedule = () => {
    if (!stopped) timer = setTimeout(() => void work().catch(onError).finally(schedule), interval).unref();
  };
  schedule();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
