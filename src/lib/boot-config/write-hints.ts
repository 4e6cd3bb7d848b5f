/** What to do when the configured image cannot be written, by the code of the system's error. */
export const writeHints: Readonly<Record<string, string>> = {
  ENOSPC: 'The configured image needs as much free space as the image has data; give another place with --output',
  EACCES: 'Give a place that you may write to with --output',
  EROFS: 'Give a place that can be written to with --output',
  ENOENT: 'Make the folder first',
};
