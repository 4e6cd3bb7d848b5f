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
  // Not a race: each one would leave something behind at a source that is silent for long.
  const arrived: Arrival[] = [];
  let waitedFor = 0;
  let wake: (() => void) | undefined;
  function listen<S>(source: AsyncGenerator<S>, take: (value: S) => ReturnType<Arrival>): void {
    const arrive = (arrival: Arrival) => {
      waitedFor -= 1;
      arrived.push(arrival);
      wake?.();
    };
    waitedFor += 1;
    source.next().then(
      (next) => {
        arrive(() => {
          if (next.done === true) return undefined;
          listen(source, take);
          return take(next.value);
        });
      },
      (error: unknown) => {
        arrive(() => {
          throw error;
        });
      },
    );
  }
  const show = (item: T) => ({ item });
  for (const source of sources) listen(source, show);
  if (added !== undefined) {
    listen(added, (source) => {
      listen(source, show);
      return undefined;
    });
  }
  while (waitedFor + arrived.length > 0) {
    const arrival = arrived.shift();
    if (arrival === undefined) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      continue;
    }
    const shown = arrival();
    if (shown !== undefined) yield shown.item;
  }
}
