/** What all of several things come to, once every one of them has ended; fails then as the first that failed. */
export async function allEnded<T>(things: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(things);
  return Promise.all(things);
}
