import { ReceivedMessage } from '../../../src/sdk/message.js';
import { ProgressReader } from '../../../src/sdk/jobs/progress-reader.js';

describe('a reader of the parts of a stored reply', () => {
  it('that leaves when an answer has just come asks no more', async () => {
    let asked = 0;
    const asker = {
      settings: { timeoutMs: 1000, resendMs: 1000 },
      broker: { offers: { progress: true } },
      decodersOf: () => ({ decode: null, decodeProgress: null }),
      ask: (
        service: string,
        _body: unknown,
        _settings: unknown,
        answered: (reply: object) => void,
      ) => {
        asked++;
        const frames = ['300', '1-1-1-1', '{"attempt":1,"first":0,"frames":[1]}', 'a'];
        answered(
          new ReceivedMessage(
            service,
            null,
            frames.map((frame) => Buffer.from(frame)),
          ),
        );
        return null;
      },
    };
    const job = { uuid: '0190A0B0C0D07000800000000000ABCD', service: 's' };
    const settings = { timeoutMs: 1000, signal: undefined };
    const reader = new ProgressReader(asker as never, job, settings);
    const [first, second] = [reader.next(), reader.next()];
    await reader.return();
    expect((await first).value?.text()).toBe('a');
    expect((await second).done).toBe(true);
    expect(asked).toBe(1);
  });
});
