/** Interfaces that balenaOS keeps NetworkManager away from (its NetworkManager.conf): the engine's own. */
export function isUnmanagedInterface(name: string): boolean {
  return /^(balena|resin|br|veth)/.test(name);
}
