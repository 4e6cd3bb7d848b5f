import { Failure } from '../failure/failure.js';
import { parseDockerfile } from '../project/dockerfile.js';

/** A kind of computer, in the words of Go and Docker. */
export interface Platform {
  readonly architecture: string;
  /** Empty where there is one only. */
  readonly variant: string;
}

const platforms: Readonly<Record<string, Platform>> = {
  aarch64: { architecture: 'arm64', variant: '' },
  armv7hf: { architecture: 'arm', variant: 'v7' },
  rpi: { architecture: 'arm', variant: 'v6' },
  amd64: { architecture: 'amd64', variant: '' },
  i386: { architecture: '386', variant: '' },
};

/** What Docker calls an architecture that balena names: `rpi` is `linux/arm/v6`. Undefined for one that nobody knows. */
export function devicePlatform(architecture: string | undefined): Platform | undefined {
  return architecture === undefined ? undefined : platforms[architecture];
}

/** `linux/arm/v7` */
export function platformName({ architecture, variant }: Platform): string {
  return ['linux', architecture, ...(variant === '' ? [] : [variant])].join('/');
}

/**
 * Whether a Dockerfile runs programs of the image's own platform while it is built: not if it only copies, nor where it runs something only
 * in stages that say that they are for the computer that builds.
 */
export function runsProgramsOf(platform: Platform, dockerfile: string): boolean {
  const ofBuilder = new Set<string>();
  let isOfBuilder = false;
  for (const { keyword, flags, rest } of parseDockerfile(dockerfile).instructions) {
    if (keyword === 'FROM') {
      const [, base = '', name = ''] = /^(\S+)(?:\s+as\s+(\S+))?/i.exec(rest) ?? [];
      const wanted = flags.find((flag) => flag.name === 'platform')?.value;
      isOfBuilder = wanted === undefined ? ofBuilder.has(base) : !isSame(wanted, platform);
      if (isOfBuilder) ofBuilder.add(name);
    } else if (keyword === 'RUN' && !isOfBuilder) return true;
  }
  return false;
}

function isSame(wanted: string, platform: Platform): boolean {
  return /^\$\{?TARGETPLATFORM\}?$/.test(wanted) || wanted === platformName(platform);
}

/** Refuses an image that the device cannot run, where it is known what the device is. */
export function requireRunnable(
  image: Platform & { readonly name: string; readonly os: string },
  architecture: string | undefined,
): void {
  const platform = devicePlatform(architecture);
  if (platform === undefined || (image.os === 'linux' && canRun(platform, image))) return;
  const is = [image.os, ...platformName(image).split('/').slice(1)].join('/');
  const wanted = platformName(platform);
  throw new Failure('refused', 'wrong-architecture', `${image.name} is for ${is}, and the device is ${wanted}`, {
    hint: `Build it for the device, from base images for it: docker pull --platform ${wanted}, docker build --platform ${wanted}`,
  });
}

/** 64-bit computers also run what is for their 32-bit kin; newer ARM runs what is for older. */
function canRun(platform: Platform, { architecture, variant }: Platform): boolean {
  if (architecture !== platform.architecture) {
    return ['amd64 runs 386', 'arm64 runs arm'].includes(`${platform.architecture} runs ${architecture}`);
  }
  return platform.variant === '' || variant === '' || variant <= platform.variant;
}
