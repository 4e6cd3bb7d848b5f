import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { it } from 'node:test';
import { processStreams } from '../../../src/lib/output/streams.js';
import { TerminalRenderer } from '../../../src/lib/output/terminal-renderer.js';

it('leaves lines whole that are printed while others are live', () => {
  let screen: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const codes = chunk
        .toString()
        .replaceAll('\u001B[', '<')
        .replace(/<\?25[hl]/g, '');
      const [, up, text = ''] = /^(?:<(\d+)F<J)?([^]*)$/.exec(codes) ?? [];
      screen = screen.slice(0, screen.length - Number(up ?? 0));
      screen.push(...text.split('\n').filter(Boolean));
      done();
    },
  });
  const streams = { ...processStreams({ noColor: true }), stdout: stream, stderr: stream, columns: () => 80 };
  const renderer = new TerminalRenderer(streams, () => 0);
  const step = (detail: string) => {
    renderer.render({ type: 'step', id: 'main', phase: 'build', state: 'active', detail });
  };
  step('first');
  renderer.above(() => stream.write('one\n'));
  renderer.above(() => stream.write('two\n'));
  renderer.render({ type: 'notice', level: 'info', text: 'three' });
  assert.deepEqual(screen.slice(0, 2), ['one', 'two']);
  assert.match(screen[2] ?? '', /three/);
  assert.match(screen[3] ?? '', /first/);
  assert.equal(screen.length, 4);
});
