import type { DeviceLogLine, DeviceLogs } from '../logs/device-logs.js';
import { paintFor } from './paint.js';

/** How lines of logs are shown. */
export interface LogTextOptions {
  readonly sources: DeviceLogs['sources'];
  /** Whether each line begins with its time. */
  readonly timestamps: boolean;
  readonly hasColor: boolean;
}

/** Makes lines of logs for people: with the device and the source where there are several, in a colour of their own. */
export function logLineText({ sources, timestamps, hasColor }: LogTextOptions): (line: DeviceLogLine) => string {
  const paint = paintFor(hasColor);
  const devices = new Set(sources.map(({ device }) => device));
  const [only, ...others] = sources;
  const numbers = new Map<string, number>();
  const widest = Math.max(0, ...sources.map(({ source }) => source.length));
  return ({ device, source, time, text }) => {
    const isOnly = others.length === 0 && source === only?.source && device === only.device;
    const name = [...(devices.size > 1 ? [device] : []), source.padEnd(widest)].join(' ');
    const number = numbers.get(name) ?? numbers.size;
    numbers.set(name, number);
    return [...(isOnly ? [] : [paint.source(number)(`${name} |`)]), ...(timestamps ? [time] : []), text].join(' ');
  };
}
