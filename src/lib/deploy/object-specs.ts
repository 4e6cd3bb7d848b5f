import { jsonObject, type JsonObject } from '../platform/json.js';
import type { Network, Volume } from '../project/composition.js';
import { definitionLabel, definitionOf } from './definition.js';
import { localObjectLabels } from './local-release.js';

/** A network or volume as it is to be made on an engine. */
export interface ObjectSpec {
  /** Its name on the engine. */
  readonly name: string;
  readonly definition: string;
  /** The body of `POST /networks/create` or `POST /volumes/create`. */
  readonly spec: JsonObject;
}

/** How a network of a composition is made. */
export function networkSpec(name: string, network: Network): ObjectSpec {
  const { driver = 'bridge', driver_opts, ipam, internal, attachable, enable_ipv6 } = network;
  const definition = definitionOf({ ...network, name: undefined });
  const config = ipam?.config?.map(({ subnet, gateway, ip_range, aux_addresses }) =>
    jsonObject({ Subnet: subnet, Gateway: gateway, IPRange: ip_range, AuxiliaryAddresses: aux_addresses }),
  );
  const spec = jsonObject({
    Name: name,
    Driver: driver,
    Options: driver_opts,
    Internal: internal,
    Attachable: attachable,
    EnableIPv6: enable_ipv6,
    IPAM:
      ipam === undefined
        ? undefined
        : jsonObject({ Driver: ipam.driver ?? 'default', Options: ipam.options, Config: config }),
    Labels: { ...network.labels, ...localObjectLabels, [definitionLabel]: definition },
  });
  return { name, definition, spec };
}

/** How a volume of a composition is made. */
export function volumeSpec(name: string, volume: Volume): ObjectSpec {
  const definition = definitionOf({ ...volume, name: undefined });
  const spec = jsonObject({
    Name: name,
    Driver: volume.driver,
    DriverOpts: volume.driver_opts,
    Labels: { ...volume.labels, ...localObjectLabels, [definitionLabel]: definition },
  });
  return { name, definition, spec };
}
