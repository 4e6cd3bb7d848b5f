import path from 'node:path';
import { folders } from '../platform/environment.js';
import { type Form } from './form.js';
import { text } from './form-values.js';
import { scalar, textOf } from './tree.js';

/** A path on this computer, made absolute from the folder of its file. */
export const localPath: Form<string> = pathForm(() => false);

/** Where a build gets its files: a path on this computer, or the URL of a repository, an archive, an image or another service. */
export const contextPath: Form<string> = pathForm(isRemoteContext);

/** Whether a build context is not on this computer. */
export function isRemoteContext(context: string): boolean {
  return /^([a-z][a-z0-9+.-]+:\/\/|git@|github\.com\/|(service|target|docker-image|oci-layout):)/.test(context);
}

function pathForm(isElsewhere: (value: string) => boolean): Form<string> {
  const own = text('a path', /^[^\0]+$/);
  return {
    canonical: (tree, at, reading) => {
      const result = own.canonical(tree, at, reading);
      const value = textOf(result);
      if (value === undefined || isElsewhere(value)) return result;
      const expanded = /^~(?=$|[/\\])/.test(value) ? path.join(folders.home(), value.slice(1)) : value;
      return { ...scalar(path.resolve(reading.folder, expanded), tree.place), tag: tree.tag };
    },
  };
}
