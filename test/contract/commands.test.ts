import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Config } from '@oclif/core';
import { projectRoot } from '../support/davit.js';

const { commands } = await Config.load(projectRoot);
const visible = commands.filter((command) => !command.hidden);

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
      for (const flag of Object.values(command.flags)) {
        if (flag.type === 'boolean') continue;
        assert.doesNotMatch(flag.name, /(password|passphrase|psk|secret|token|api-key|wifi-key)$/);
      }
    });

    it(`writes ${name}'s help in plain words`, () => {
      const words = JSON.stringify([command.summary, command.description, command.examples]);
      assert.doesNotMatch(words, /!"|please/i);
    });
  }
});
