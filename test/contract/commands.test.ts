import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Config } from '@oclif/core';
import { configKeys } from '../../src/lib/boot-config/config-keys.js';
import { isSecretKey } from '../../src/lib/boot-config/secret-names.js';
import { projectRoot } from '../support/davit.js';

const { commands } = await Config.load(projectRoot);
const visible = commands.filter((command) => !command.hidden);

/** Called like secrets, but files with one, or public. */
const harmless: ReadonlySet<string> = new Set(['ssh-key', 'gpg-key', 'minisign-key']);

/** `deviceApiKey` and `DEVICE_API_KEY` as flags spell words: `device-api-key`. */
function wordsOf(name: string): string {
  return name
    .replace(/([a-z])([A-Z])/g, '$1-$2')
    .replaceAll(/[_.]/g, '-')
    .toLowerCase();
}

describe('the command tree', () => {
  it('holds commands', () => {
    assert.ok(visible.length > 0);
  });

  for (const command of visible) {
    const name = command.id.replaceAll(':', ' ');

    it(`gives ${name} a summary and at least one example`, () => {
      assert.match(command.summary ?? '', /^[A-Z].*[^.]\.$/);
      assert.ok((command.examples?.length ?? 0) > 0);
    });

    it(`explains every argument and flag of ${name} in a sentence`, () => {
      const explained = [
        ...Object.values(command.args).map(({ name: word, description }) => ({ word, text: description })),
        ...Object.values(command.flags)
          .filter((flag) => !flag.hidden)
          .map((flag) => ({ word: flag.name, text: flag.summary ?? flag.description })),
      ];
      assert.deepEqual(
        explained.filter(({ text = '' }) => !/^[A-Z].*(\.|\[default: .*\])$/.test(text)).map(({ word }) => word),
        [],
      );
    });

    it(`names every flag of ${name} in lower-case words joined by dashes`, () => {
      for (const flag of Object.keys(command.flags)) assert.match(flag, /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/);
    });

    it(`takes no secret as a flag value in ${name}`, () => {
      const secretWords = Object.entries(configKeys).flatMap(([key, { isSecret }]) => (isSecret ? [wordsOf(key)] : []));
      const taking = Object.values(command.flags).filter(({ name: flag, env, ...rest }) => {
        if (rest.type === 'boolean' || harmless.has(flag) || String(rest.helpValue).startsWith('<file')) return false;
        // What a variable of the environment gives may be a secret, but not where the flag takes it too.
        return [flag, wordsOf(env ?? '')].some((words) => isSecretKey(words) || secretWords.includes(words));
      });
      assert.deepEqual(
        taking.map(({ name: flag }) => flag),
        [],
      );
    });

    it(`writes ${name}'s help in plain words`, () => {
      const words = JSON.stringify([command.summary, command.description, command.examples]);
      assert.doesNotMatch(words, /!"|please/i);
    });
  }
});
