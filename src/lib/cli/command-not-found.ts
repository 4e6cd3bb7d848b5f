import type { Hook } from '@oclif/core';
import { exitCodeOf, Failure } from '../failure/failure.js';
import { reportError } from '../output/error-document.js';
import { processStreams } from '../output/streams.js';
import { editDistance } from '../platform/nearest-name.js';

/** oclif's `command_not_found` hook: names the nearest commands, runs nothing, and ends as a usage error. */
const commandNotFound: Hook.CommandNotFound = ({ id, argv = [], config }) => {
  const typed = id.replaceAll(':', ' ');
  const names = config.commandIDs.map((known) => known.replaceAll(':', ' '));
  const inTopic = names.filter((name) => name.startsWith(`${typed.split(' ')[0] ?? ''} `));
  const near = (inTopic.length > 0 ? inTopic : names)
    .map((name) => ({ name, distance: editDistance(asManyWords(typed, name), name) }))
    .filter(({ name, distance }) => distance <= 3 || name.startsWith(typed) || inTopic.length > 0)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 4)
    .map(({ name }) => `${config.bin} ${name}`);
  const failure = new Failure('usage', 'unknown-command', `there is no command "${typed}"`, {
    hint: near.length > 0 ? `Did you mean: ${near.join(', ')}` : `Run ${config.bin} --help to see the commands`,
  });
  const streams = processStreams({ noColor: argv.includes('--no-color') });
  reportError(failure, streams, { json: argv.includes('--json') });
  process.exitCode = exitCodeOf(failure);
  return Promise.resolve();
};

export default commandNotFound;

/** The first words of what was typed, as many as a command has: oclif counts arguments in as long as no command matches. */
function asManyWords(typed: string, name: string): string {
  return typed.split(' ').slice(0, name.split(' ').length).join(' ');
}
