/** Something that happened at a time, which compares as text. */
interface Timed {
  readonly time: string;
}

/** The items of several sources, each of which is in order, in the order of their times. */
export async function* byTime<T extends Timed>(sources: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  const heads = new Map<AsyncGenerator<T>, T>();
  const advance = async (source: AsyncGenerator<T>) => {
    const next = await source.next();
    if (next.done === true) heads.delete(source);
    else heads.set(source, next.value);
  };
  await Promise.all(sources.map(advance));
  while (heads.size > 0) {
    let first: readonly [AsyncGenerator<T>, T] | undefined;
    for (const head of heads) if (first === undefined || head[1].time < first[1].time) first = head;
    if (first === undefined) return;
    yield first[1];
    await advance(first[0]);
  }
}

/** The items of several sources as they come, those of sources that are added meanwhile among them. Ends when all of them have ended. */
export async function* asTheyCome<T>(
  sources: readonly AsyncGenerator<T>[],
  added?: AsyncGenerator<AsyncGenerator<T>>,
): AsyncGenerator<T> {
  type Arrival = () => { readonly item: T } | undefined;
  const waiting = new Map<AsyncGenerator, Promise<Arrival>>();
  const listen = (source: AsyncGenerator<T>) => {
    const next = source.next().then((result): Arrival => {
      return () => {
        if (result.done === true) {
          waiting.delete(source);
          return undefined;
        }
        listen(source);
        return { item: result.value };
      };
    });
    // Whoever leaves before it fails has no use for the reason.
    next.catch(() => undefined);
    waiting.set(source, next);
  };
  const listenForMore = (from: AsyncGenerator<AsyncGenerator<T>>) => {
    const next = from.next().then((result): Arrival => {
      return () => {
        waiting.delete(from);
        if (result.done === true) return undefined;
        listen(result.value);
        listenForMore(from);
        return undefined;
      };
    });
    next.catch(() => undefined);
    waiting.set(from, next);
  };
  sources.forEach(listen);
  if (added !== undefined) listenForMore(added);
  while (waiting.size > 0) {
    const arrival = (await Promise.race(waiting.values()))();
    if (arrival !== undefined) yield arrival.item;
  }
}
