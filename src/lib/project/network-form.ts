import type { Attachment, FileObject, Network, Volume } from './composition.js';
import { also, type Form, listOf, mapOf, object, orEmpty } from './form.js';
import { namesAsMapping, number, pairs, plainText, text, texts, truth } from './form-values.js';
import { localPath } from './local-path.js';
import { entryOf, isNothing, mapping, scalar, textOf, withEntry, withoutEntries } from './tree.js';

const options = mapOf(plainText());

const attachment: Form<Attachment> = orEmpty(
  object(
    {},
    {
      aliases: texts(),
      ipv4_address: text(),
      ipv6_address: text(),
      link_local_ips: texts(),
      mac_address: text(),
      interface_name: text(),
      driver_opts: options,
      priority: number('a number'),
      gw_priority: number('a number'),
    },
  ),
);

/** The networks that a service is on: their names, or a mapping. */
export const attachments: Form<Readonly<Record<string, Attachment>>> = also(
  mapOf(attachment, 'a list of networks or a mapping'),
  (tree) => namesAsMapping(tree, (item) => mapping([], item.place)),
);

const addressRange = object({}, { subnet: text(), gateway: text(), ip_range: text(), aux_addresses: mapOf(text()) });

/** A network of the top level. */
export const network: Form<Network> = maybeExternal(
  object(
    {},
    {
      name: text(),
      driver: text(),
      driver_opts: options,
      ipam: object(
        {},
        {
          driver: text(),
          options: mapOf(text()),
          config: listOf(addressRange, {
            identity: (tree) => textOf(entryOf(tree, 'subnet')) ?? '',
            mergesItems: true,
          }),
        },
      ),
      external: truth,
      internal: truth,
      attachable: truth,
      enable_ipv4: truth,
      enable_ipv6: truth,
      labels: pairs,
    },
  ),
);

/** A volume of the top level. */
export const volume: Form<Volume> = maybeExternal(
  object({}, { name: text(), driver: text(), driver_opts: options, external: truth, labels: pairs }),
);

/** A secret or a config of the top level. */
export const fileObject: Form<FileObject> = maybeExternal(
  object(
    {},
    {
      file: localPath,
      environment: text(),
      content: text(),
      external: truth,
      name: text(),
      driver: text(),
      driver_opts: options,
      template_driver: text(),
      labels: pairs,
    },
  ),
);

/** Takes the older `external: {name: x}` for what it means, and nothing for an empty mapping. */
function maybeExternal<T>(form: Form<T>): Form<T> {
  return also(orEmpty(form), (tree) => {
    const external = entryOf(tree, 'external');
    if (tree.kind !== 'mapping' || external?.kind !== 'mapping') return tree;
    const name = entryOf(external, 'name');
    const plain = withEntry(tree, 'external', scalar(true, external.place));
    return name === undefined || isNothing(name) ? withoutEntries(plain) : withEntry(plain, 'name', name);
  });
}

/** A mapping of objects of the top level; without anything behind its name it is empty. */
export function topLevel<T>(item: Form<T>): Form<Readonly<Record<string, T>>> {
  return orEmpty(mapOf(item, 'a mapping', isObjectName));
}

/** Whether services, networks and the like may have a name. */
export function isObjectName(name: string): boolean {
  return /^[a-zA-Z0-9._-]+$/.test(name) || name.startsWith('x-');
}
