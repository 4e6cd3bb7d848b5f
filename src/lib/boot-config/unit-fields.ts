/** A place for a unit's own value: `{serial}`, `{index}`, a column of a batch. */
const unitField = /\{([A-Za-z][A-Za-z0-9_]*)\}/g;

/** The fields of a unit that a text needs, each once. */
export function unitFieldsIn(value: string): string[] {
  return [...new Set([...value.matchAll(unitField)].map(([, name = '']) => name))];
}

/** A text with something in place of each field. */
export function withUnitFields(value: string, valueOf: (name: string) => string): string {
  return value.replaceAll(unitField, (_, name: string) => valueOf(name));
}
