import { Command } from 'commander';

import { define } from '../../../src/cli/pair/ha.js';

describe('majordomo ha', () => {
  it('waits for a switchover for longer than that may take: ten seconds, and then for the peer', () => {
    const ha = new Command('ha');
    define(ha);
    const waits = ha.commands.map((command) => [
      command.name(),
      command.options.find(({ long }) => long === '--timeout-ms')?.defaultValue as unknown,
    ]);
    expect(waits).toEqual([
      ['status', 5000],
      ['switchover', 30_000],
      ['promote', 5000],
    ]);
  });
});
