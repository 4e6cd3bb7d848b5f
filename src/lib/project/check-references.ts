import type { Path } from '../boot-config/problem.js';
import { itemsOf } from './finish-services.js';
import type { Problems } from './problems.js';
import { entriesOf, entryOf, isNothing, type Mapping, textOf, type Tree } from './tree.js';

/** What a model says of the services that its profiles leave out. */
export interface LeftOut {
  /** Profiles of each service that is not in the model. */
  readonly services: ReadonlyMap<string, readonly string[]>;
}

/** Reports whatever in a finished model refers to something that is not there, or contradicts something else. */
export function checkReferences(model: Mapping, leftOut: LeftOut, problems: Problems): void {
  const services = new Map(entriesOf(entryOf(model, 'services')));
  const has = (section: string, name: string) => entryOf(entryOf(model, section), name) !== undefined;

  for (const [name, service] of services) {
    const at = (...path: Path): Path => ['services', name, ...path];
    const report = (tree: Tree, path: Path, message: string) => {
      problems.report(tree.place, path, message);
    };
    const needs = (section: string, what: string, source: string | undefined, tree: Tree, path: Path) => {
      if (source !== undefined && !has(section, source)) {
        report(tree, path, `names the ${what} ${source}, which is not there: declare it below ${section}`);
      }
    };
    const build = entryOf(service, 'build');
    if (build === undefined && !textOf(entryOf(service, 'image')) && entryOf(service, 'provider') === undefined) {
      report(service, at(), 'must have image or build');
    }
    const inline = entryOf(build, 'dockerfile_inline');
    if (inline !== undefined && entryOf(build, 'dockerfile') !== undefined) {
      report(inline, at('build', 'dockerfile_inline'), 'cannot stand beside dockerfile');
    }
    const mode = entryOf(service, 'network_mode');
    if (mode !== undefined && entryOf(service, 'networks') !== undefined) {
      report(mode, at('network_mode'), 'cannot stand beside networks');
    }
    for (const [network, tree] of entriesOf(entryOf(service, 'networks'))) {
      if (network !== 'default') needs('networks', 'network', network, tree, at('networks', network));
    }
    for (const [index, tree] of itemsOf(entryOf(service, 'volumes')).entries()) {
      if (textOf(entryOf(tree, 'type')) !== 'volume') continue;
      needs('volumes', 'volume', textOf(entryOf(tree, 'source')), tree, at('volumes', index));
    }
    for (const section of ['secrets', 'configs']) {
      for (const [index, tree] of itemsOf(entryOf(service, section)).entries()) {
        const what = section.slice(0, -1);
        needs(section, what, textOf(entryOf(tree, 'source')), tree, at(section, index));
      }
    }
    for (const [index, tree] of itemsOf(entryOf(build, 'secrets')).entries()) {
      needs('secrets', 'secret', textOf(entryOf(tree, 'source')), tree, at('build', 'secrets', index));
    }
    for (const [key, tree] of entriesOf(entryOf(build, 'additional_contexts'))) {
      const other = /^service:(.+)$/.exec(textOf(tree) ?? '')?.[1];
      if (other !== undefined && entryOf(services.get(other), 'build') === undefined) {
        report(tree, at('build', 'additional_contexts', key), `names the service ${other}, which is not built here`);
      }
    }
    for (const [other, tree] of entriesOf(entryOf(service, 'depends_on'))) {
      const profiles = leftOut.services.get(other);
      const reason =
        profiles === undefined
          ? 'which is not there'
          : `which is left out: turn on its profile ${profiles.join(' or ')}`;
      if (!services.has(other)) report(tree, at('depends_on', other), `names the service ${other}, ${reason}`);
    }
    const scale = entryOf(service, 'scale');
    if (scale?.kind === 'scalar' && Number(scale.value) > 1 && entryOf(service, 'container_name') !== undefined) {
      report(scale, at('scale'), 'must be 1 beside container_name, as a name can be given only once');
    }
    checkMountTargets(service, at, report);
  }
  checkCycles(services, problems);
  checkFiles(model, problems);
}

function checkMountTargets(
  service: Tree,
  at: (...path: Path) => Path,
  report: (tree: Tree, path: Path, message: string) => void,
): void {
  const volumes = new Set(itemsOf(entryOf(service, 'volumes')).map((tree) => textOf(entryOf(tree, 'target'))));
  for (const [index, tree] of itemsOf(entryOf(service, 'tmpfs')).entries()) {
    const target = textOf(tree)?.split(':')[0];
    if (volumes.has(target)) report(tree, at('tmpfs', index), `mounts ${target ?? ''}, where a volume is mounted too`);
  }
}

function checkCycles(services: ReadonlyMap<string, Tree>, problems: Problems): void {
  const settled = new Set<string>();
  const visit = (name: string, chain: readonly string[]) => {
    const service = services.get(name);
    if (service === undefined || settled.has(name)) return;
    for (const [other, tree] of entriesOf(entryOf(service, 'depends_on'))) {
      const from = [...chain, name].indexOf(other);
      if (from >= 0) {
        const circle = [...chain, name].slice(from).concat(other).join(' -> ');
        problems.report(tree.place, ['services', name, 'depends_on', other], `leads in a circle: ${circle}`);
      } else visit(other, [...chain, name]);
    }
    settled.add(name);
  };
  for (const name of services.keys()) visit(name, []);
}

/** Secrets and configs have to come from somewhere, and from one place. */
function checkFiles(model: Mapping, problems: Problems): void {
  for (const section of ['secrets', 'configs']) {
    for (const [name, tree] of entriesOf(entryOf(model, section))) {
      const external = entryOf(tree, 'external');
      if (external?.kind === 'scalar' && external.value === true) continue;
      const sources = section === 'secrets' ? ['file', 'environment', 'driver'] : ['file', 'environment', 'content'];
      const found = sources.filter((key) => entryOf(tree, key) !== undefined && !isNothing(entryOf(tree, key) ?? tree));
      if (found.length === 1) continue;
      const message =
        found.length === 0
          ? `must have file${section === 'secrets' ? ' or environment' : ', environment or content'}`
          : `must have only one of ${found.join(' and ')}`;
      problems.report(tree.place, [section, name], message);
    }
  }
}
